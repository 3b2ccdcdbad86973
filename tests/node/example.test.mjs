// The program that the READMEs show.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { at, ROOT } from './bed.mjs'

const EXAMPLE = path.join(ROOT, 'node/examples/put_with_callback.mjs')

test('the_example_prints_the_application_servers_answer', async () => {
  const env = { ...process.env, CALLBACK_URL: `${at.APP_URL}/ok` }
  const { stdout } = await promisify(execFile)(process.execPath, [EXAMPLE], { env, timeout: 30_000 })
  assert.equal(stdout, '{"Status":"OK"}\n')
})

test('the_packages_readme_shows_the_examples', async () => {
  const readme = await readFile(path.join(ROOT, 'node/README.md'), 'utf8')
  for (const example of [EXAMPLE, path.join(ROOT, 'node/examples/express.mjs')]) {
    assert.ok(readme.includes(`\`\`\`js\n${await readFile(example, 'utf8')}\`\`\``), example)
  }
})
