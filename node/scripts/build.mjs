// Builds the addon with cargo and puts it beside index.js. No package is needed for it, so that
// `npm install <this folder>` works from a fresh clone.
//
// `--debug`, or OSS_CALLBACK_PROFILE=dev in the environment, builds without optimisation.

import { spawnSync } from 'node:child_process'
import { copyFileSync, renameSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const debug = process.argv.includes('--debug') || process.env.OSS_CALLBACK_PROFILE === 'dev'

const cargo = spawnSync(
  'cargo',
  [
    'build',
    '--manifest-path',
    path.join(here, 'Cargo.toml'),
    '--message-format=json-render-diagnostics',
    ...(debug ? [] : ['--release']),
  ],
  { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', maxBuffer: 1 << 30 },
)
if (cargo.error) {
  console.error(
    `oss-callback is built from source and needs Rust (https://rustup.rs): ${cargo.error.message}`,
  )
  process.exit(1)
}
if (cargo.status !== 0) {
  process.exit(cargo.status ?? 1)
}

// cargo tells where the library lies, wherever its target directory is.
const library = cargo.stdout
  .split('\n')
  .filter((line) => line.startsWith('{'))
  .map((line) => JSON.parse(line))
  .filter(({ reason, target }) => reason === 'compiler-artifact' && target.name === 'oss_callback_node')
  .flatMap(({ filenames }) => filenames)
  .find((name) => /\.(so|dylib|dll)$/.test(name))
if (library === undefined) {
  console.error('cargo built no library')
  process.exit(1)
}

// Renamed into place: a running program may have the old one mapped.
const addon = path.join(here, 'oss-callback.node')
copyFileSync(library, `${addon}.new`)
renameSync(`${addon}.new`, addon)
