// The testbed that all languages are tested against: its addresses come from the environment, or from the
// `testbed` program, which lives as long as this process.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Callback, Client } from '../../node/index.mjs'
import native from '../../node/lib/native.js'

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target')
export const FRAMEWORKS = process.env.OSS_CALLBACK_FRAMEWORKS ?? path.join(TARGET, 'node/types')
export const BUCKET = 'examplebucket'
export const DATA = Buffer.from('data')
// How long the misbehaving OSS says nothing when asked for `hang/`, in ms. A call that ended long before did
// not wait for it, however slow the machine is.
export const HANG = 20_000

const NAMES = [
  'OSS_ENDPOINT',
  'OSS_REGION',
  'OSS_ACCESS_KEY_ID',
  'OSS_ACCESS_KEY_SECRET',
  'STS_ACCESS_KEY_ID',
  'STS_ACCESS_KEY_SECRET',
  'STS_TOKEN',
  'OSS_PUBLIC_KEY_FILE',
  'APP_URL',
  'CONTROL_URL',
  'FAULTY_ENDPOINT',
  'DEAD_ENDPOINT',
]

/** Where everything is. */
export const at = await addresses()

async function addresses() {
  if (!NAMES.every((name) => name in process.env)) {
    // Children of the tests read them from there.
    Object.assign(process.env, await start())
  }
  return Object.fromEntries(NAMES.map((name) => [name, process.env[name]]))
}

async function start() {
  const program = process.env.OSS_CALLBACK_TESTBED ?? path.join(TARGET, 'debug', 'testbed')
  // It ends when its standard input is closed: by our end, however it comes.
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
  const failed = once(child, 'error').then(([cause]) => {
    throw new Error('build the testbed first: cargo build -p oss-callback-tests --bin testbed', { cause })
  })
  const found = {}
  const read = async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'READY') {
        return found
      }
      const equals = line.indexOf('=')
      found[line.slice(0, equals)] = line.slice(equals + 1)
    }
    throw new Error('the testbed ended early')
  }
  const ready = await Promise.race([read(), failed])
  child.unref()
  child.stdin.unref()
  child.stdout.unref()
  return ready
}

export function client(options) {
  return new Client({
    endpoint: at.OSS_ENDPOINT,
    region: at.OSS_REGION,
    accessKeyId: at.OSS_ACCESS_KEY_ID,
    accessKeySecret: at.OSS_ACCESS_KEY_SECRET,
    ...options,
  })
}

/** A client of the OSS that misbehaves as the key's first segment says. */
export function faulty(options) {
  return client({ endpoint: at.FAULTY_ENDPOINT, ...options })
}

/** The key that the emulator signs callbacks with. */
export const publicKey = readFileSync(at.OSS_PUBLIC_KEY_FILE, 'utf8')

/** A framework of package.json, from where `cargo xtask test node` has installed it. */
export function framework(name) {
  return createRequire(path.join(FRAMEWORKS, 'any.js'))(name)
}

export function callback(path = '/ok', options) {
  return new Callback(at.APP_URL + path, options)
}

/** The error that a promise is rejected with. */
export async function rejection(promise) {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('the promise was not rejected')
}

/** The error that a function throws. */
export function thrown(body) {
  try {
    body()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

/** Waits for what must come. */
export async function until(happened) {
  const end = performance.now() + HANG
  while (!(await happened())) {
    if (performance.now() > end) {
      throw new Error('it does not happen')
    }
    await sleep(5)
  }
}

/**
 * How many native objects live, once the garbage collector has done its work. Needs --expose-gc. It waits for as
 * many as are expected as long as that takes.
 */
export async function liveHandles(expected) {
  const end = performance.now() + (expected === undefined ? 200 : HANG)
  do {
    globalThis.gc()
    // Finalizers run in a later turn of the event loop.
    await sleep(5)
  } while (native.liveHandles() > (expected ?? 0) && performance.now() < end)
  return native.liveHandles()
}
