// What becomes of streams, files, providers, threads and memory: what users of Node take for granted.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { CredentialsError, InvalidArgumentError, SourceError, TimeoutError } from '../../node/index.mjs'
import { at, BUCKET, callback, client, DATA, faulty, HANG, liveHandles, rejection, thrown, until } from './bed.mjs'

const MIB = 1 << 20
const folder = await mkdtemp(path.join(tmpdir(), 'oss-callback-node-'))
after(() => rm(folder, { recursive: true }))

/** A stream of so many chunks of 64 KiB, and how many of them were pulled. */
function source(kind, chunks = Infinity) {
  const seen = { pulled: 0 }
  async function* chunksOf() {
    for (; seen.pulled < chunks; seen.pulled += 1) {
      yield Buffer.alloc(64 * 1024, seen.pulled)
    }
  }
  const generator = chunksOf()
  const pull = async (controller) => {
    const { done, value } = await generator.next()
    return done ? controller.close() : controller.enqueue(value)
  }
  const kinds = {
    generator: () => generator,
    readable: () => Readable.from(generator),
    web: () => new ReadableStream({ pull, cancel: () => generator.return() }),
  }
  return Object.assign(seen, { stream: kinds[kind](), kind })
}

const KINDS = ['generator', 'readable', 'web']

/** Whether nothing comes of a stream any more. */
async function isOver({ kind, stream }) {
  if (kind === 'readable') {
    await until(() => stream.destroyed)
    return true
  }
  await sleep(10)
  // Nobody holds a web stream any more.
  const iterator = kind === 'web' ? stream.values() : stream
  // Asked again a few times, should the call's end still be on its way to it.
  let { done } = await iterator.next()
  for (let wait = 20; !done && wait < 2000; wait *= 2) {
    await sleep(wait)
    done = (await iterator.next()).done
  }
  return done
}

/** A server that takes connections and reads nothing. */
async function deaf(body) {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  const sockets = []
  server.on('connection', (socket) => sockets.push(socket))
  await once(server, 'listening')
  try {
    return await body(client({ endpoint: `http://127.0.0.1:${server.address().port}`, retries: 0 }))
  } finally {
    sockets.forEach((socket) => socket.destroy())
    server.close()
  }
}

const signalAfter = (ms) => ({ signal: AbortSignal.timeout(ms) })

test('a_source_is_pulled_no_faster_than_it_is_sent', async () => {
  const ways = KINDS.flatMap((kind) => [
    [kind, 'putObjectWithCallback'],
    [kind, 'uploadFileWithCallback'],
  ])
  const check = async ([kind, method]) => {
    await deaf(async (uploading) => {
      const endless = source(kind)
      const controller = new AbortController()
      const { signal } = controller
      const call = rejection(uploading[method](BUCKET, 'a', endless.stream, callback(), { signal }))
      let before
      do {
        before = endless.pulled
        await sleep(500)
        // What the connection holds, or the first parts, and no more.
        assert.ok(endless.pulled * 64 * 1024 < 40 * MIB, `${kind}, ${method}: ${before} chunks were pulled`)
      } while (endless.pulled !== before)
      controller.abort()
      assert.equal((await call).name, 'AbortError')
      assert.ok(endless.pulled > 0 && (await isOver(endless)), `${kind}, ${method}`)
    })
  }
  await Promise.all(ways.map(check))
})

test('a_source_is_stopped_however_the_call_ends', async () => {
  const put = (uploading, stream, options, bucket = BUCKET) =>
    uploading.putObjectWithCallback(bucket, 'hang/a', stream, callback(), options)
  const upload = (stream, options, asked = callback()) =>
    client().uploadFileWithCallback(BUCKET, 'a', stream, asked, options)
  const ways = {
    badBucket: (stream) => put(client(), stream, {}, 'Bad_Bucket'),
    refused: (stream) => put(client({ accessKeySecret: 'wrong' }), stream),
    aborted: (stream) => put(faulty(), stream, signalAfter(100)),
    abortedBefore: (stream) => put(client(), stream, { signal: AbortSignal.abort() }),
    timedOut: (stream) => put(faulty(), stream, { timeoutMs: 100 }),
    unknownOption: (stream) => upload(stream, { partSizes: 1 }),
    tooLong: (stream) => upload(stream, { length: 5 }),
    noCallback: (stream) => upload(stream, {}, 'http://127.0.0.1/'),
  }
  for (const kind of KINDS) {
    for (const [name, way] of Object.entries(ways)) {
      const stoppable = source(kind, 64)
      await rejection(way(stoppable.stream))
      assert.ok(await isOver(stoppable), `${name}, ${kind}`)
    }
  }
})

test('a_stream_that_cannot_be_read_is_refused_with_a_hint', async () => {
  const ended = Readable.from([DATA])
  await buffer(ended)
  const locked = new Blob(['a']).stream()
  locked.getReader()
  const refused = async (data, message, options) => {
    const error = await rejection(client().putObjectWithCallback(BUCKET, 'a', data, callback(), options))
    assert.ok(error instanceof InvalidArgumentError, String(error))
    assert.match(error.message, message)
    return error
  }
  await refused('film.mp4', /`Buffer\.from\(text\)`.*`\{ path \}`/)
  await refused(ended, /read to its end/)
  await refused(Readable.from([]).destroy(), /was destroyed/)
  await refused(locked, /somebody else reads/)
  await refused(new URL('https://example.com/a'), /fetch\(url\)/)
  await refused(new Response('a'), /Pass its `body`/)
  await refused({ pipe() {} }, /new Readable\(\)\.wrap/)
  await refused({ path: 5 }, /^data\.path: must be a string, but is a number/)
  await refused({ path: 'a\0b' }, /no path/)
  await refused({ path: 'a', length: 4 }, /no `length`/)
  await refused(DATA, /^length: is for streams/, { length: 4 })
  for (const length of [-1, 1.5, NaN, '4', 2 ** 53]) {
    assert.equal((await refused([DATA], /must be a whole number/, { length })).field, 'length')
  }
  const error = await rejection(client().uploadFileWithCallback(BUCKET, 'a', 5, callback()))
  assert.equal(error.field, 'source')
})

test('chunks_that_are_no_bytes_are_refused_with_a_hint', async () => {
  for (const [stream, message] of [
    [['text'], /chunk 1 is a string; encode it by `Buffer\.from\(text\)`/],
    [Readable.from([DATA]).setEncoding('utf8'), /`setEncoding`/],
    [[DATA, 5], /chunk 2 is a number/],
    [[{ path: 'a' }], /chunk 1 is Object; give Buffers or other views of bytes/],
  ]) {
    const error = await rejection(client().putObjectWithCallback(BUCKET, 'a', stream, callback()))
    assert.ok(error instanceof SourceError, String(error))
    assert.match(error.message, message)
    assert.equal(error.message.includes(error.cause.message), true)
  }
})

test('a_file_that_is_not_there_has_the_systems_code', async () => {
  for (const start of ['putObjectWithCallback', 'uploadFileWithCallback']) {
    const error = await rejection(client()[start](BUCKET, 'a', { path: path.join(folder, 'none') }, callback()))
    assert.ok(error instanceof SourceError, String(error))
    assert.equal(error.osError, 2)
    assert.deepEqual([error.cause.code, error.cause.errno], ['ENOENT', -2])
  }
})

test('an_abort_by_the_source_itself_ends_the_upload', async () => {
  for (const start of ['putObjectWithCallback', 'uploadFileWithCallback']) {
    const controller = new AbortController()
    async function* chunks() {
      controller.abort('by the source')
      yield DATA
      await new Promise(() => {})
    }
    const { signal } = controller
    assert.equal(await rejection(client()[start](BUCKET, 'a', chunks(), callback(), { signal })), 'by the source')
  }
})

test('a_buffer_that_is_used_again_for_each_chunk_is_sent_as_it_was', async () => {
  const whole = Buffer.from('aaaabbbbcccc')
  const { crc64 } = await client().putObjectWithCallback(BUCKET, 'reused', whole, callback())
  const again = async function* () {
    const chunk = Buffer.alloc(4)
    for (const letter of 'abc') {
      yield chunk.fill(letter)
    }
    chunk.fill('-')
  }
  assert.equal((await client().putObjectWithCallback(BUCKET, 'reused', again(), callback())).crc64, crc64)
})

test('a_file_handle_is_read_from_its_position_and_stays_open', async () => {
  const place = path.join(folder, 'handle')
  await writeFile(place, 'head and tail')
  const handle = await open(place)
  await handle.read(Buffer.alloc(9), 0, 9, null)
  const asked = callback('/echo', { body: 'size=${size}' })
  const reply = await client().putObjectWithCallback(BUCKET, 'handle', handle, asked, { length: 4 })
  assert.equal(reply.json().body, 'size=4')
  assert.equal((await handle.stat()).size, 13)
  await handle.close()
  const error = await rejection(client().putObjectWithCallback(BUCKET, 'handle', handle, asked))
  assert.ok(error instanceof SourceError || error instanceof InvalidArgumentError, String(error))
})

test('a_pipe_to_which_nobody_writes_holds_nobody_up', { skip: process.platform === 'win32' }, async () => {
  const fifo = path.join(folder, 'fifo')
  spawnSync('mkfifo', [fifo])
  const before = await liveHandles()
  for (const method of ['putObjectWithCallback', 'uploadFileWithCallback']) {
    const start = performance.now()
    const call = client()[method](BUCKET, 'fifo', { path: fifo }, callback(), signalAfter(500))
    assert.ok(performance.now() - start < HANG / 10, 'the event loop waited')
    assert.equal((await rejection(call)).name, 'TimeoutError')
    assert.ok(performance.now() - start < HANG / 2)
  }
  assert.ok((await liveHandles(before)) <= before)
  // Nor the end of a program, for which the threads still wait.
  const { output, status, took } = await program(
    `
    const signal = AbortSignal.timeout(200)
    for (const method of ['putObjectWithCallback', 'uploadFileWithCallback']) {
      client[method]('examplebucket', 'fifo', { path: env.FIFO }, callback, { signal }).catch((error) => console.log(error.name))
    }`,
    { FIFO: fifo },
  )
  assert.deepEqual([output, status], ['TimeoutError\nTimeoutError\n', 0])
  assert.ok(took < HANG / 2)
  // Who opens it late is read from by nobody for long, and disturbs nobody.
  await (await open(fifo, 'r+')).close()
})

test('256_mib_are_streamed_in_little_memory', async () => {
  const chunk = Buffer.alloc(256 * 1024, 'chunk')
  const stream = async function* (chunks) {
    for (let index = 0; index < chunks; index += 1) {
      yield chunk
    }
  }
  const uploading = client()
  const put = (chunks) => uploading.putObjectWithCallback(BUCKET, 'memory', stream(chunks), callback('/echo'))
  await put(64)
  globalThis.gc()
  const before = process.memoryUsage.rss()
  let most = 0
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10)
  await put(1024)
  clearInterval(timer)
  const grown = (Math.max(most, process.memoryUsage.rss()) - before) / MIB
  assert.ok(grown < 16, `${grown} MiB more`)
  // The testbed need not keep it.
  await uploading.putObjectWithCallback(BUCKET, 'memory', DATA, callback())
})

test('streams_and_providers_leave_no_handles', async () => {
  const before = await liveHandles()
  await (async () => {
    const keys = { accessKeyId: at.OSS_ACCESS_KEY_ID, accessKeySecret: at.OSS_ACCESS_KEY_SECRET }
    const uploading = asking(() => keys)
    await uploading.putObjectWithCallback(BUCKET, 'a', source('readable', 4).stream, callback())
    await rejection(uploading.putObjectWithCallback(BUCKET, 'a', ['text'], callback()))
    const options = { onProgress: () => {}, signal: new AbortController().signal }
    await uploading.uploadFileWithCallback(BUCKET, 'a', source('web', 4).stream, callback(), options)
    const endless = source('generator').stream
    await rejection(uploading.uploadFileWithCallback(BUCKET, 'a', endless, callback(), signalAfter(50)))
  })()
  assert.ok((await liveHandles(before)) <= before)
})

function asking(credentialsProvider, options) {
  const keys = { accessKeyId: undefined, accessKeySecret: undefined }
  return client({ credentialsProvider, ...keys, ...options })
}

test('what_a_provider_gives_is_checked', async () => {
  const right = { accessKeyId: 'id', accessKeySecret: 'the-secret' }
  for (const [given, message] of [
    [undefined, /must be an object with `accessKeyId`/],
    ['id', /must be an object/],
    [{ accessKeyId: 'id' }, /accessKeySecret: must be a string, but is undefined/],
    [{ ...right, accessKeySecret: 'the-secret\n' }, /accessKeySecret: must be visible ASCII/],
    [{ ...right, securityToken: 5 }, /securityToken: must be a string/],
    [{ ...right, expiresAt: '2030-01-01' }, /new Date\(text\)/],
    [{ ...right, expiresAt: Date.now() + 1e6 }, /in seconds.*new Date\(ms\)/],
    [{ ...right, expiresAt: new Date(NaN) }, /valid Date/],
    [{ ...right, expiresAt: 0 }, /expired already/],
  ]) {
    const error = await rejection(asking(() => given).putObjectWithCallback(BUCKET, 'a', DATA, callback()))
    assert.ok(error instanceof CredentialsError, String(error))
    assert.match(error.message, message)
    assert.doesNotMatch(inspect(error, { depth: 9 }), /the-secret/)
  }
  assert.equal(thrown(() => asking('keys')).field, 'credentialsProvider')
  const both = thrown(() => client({ credentialsProvider: () => right }))
  assert.equal(both.field, 'credentialsProvider')
  const shown = inspect(asking(() => right), { showHidden: true, depth: 9 })
  assert.doesNotMatch(shown, /the-secret/)
})

test('a_provider_that_hangs_is_bounded_by_the_call', async () => {
  const uploading = asking(() => new Promise(() => {}))
  const put = (options) => rejection(uploading.putObjectWithCallback(BUCKET, 'a', DATA, callback(), options))
  const start = performance.now()
  const errors = await Promise.all([put({ timeoutMs: 200 }), put(signalAfter(200))])
  assert.ok(errors[0] instanceof TimeoutError, String(errors[0]))
  assert.equal(errors[1].name, 'TimeoutError')
  assert.ok(performance.now() - start < HANG / 2)
})

test('an_upload_can_be_ended_before_its_source_gives_anything', async () => {
  const silent = () => new Readable({ read: () => {} })
  for (const method of ['putObjectWithCallback', 'uploadFileWithCallback']) {
    const stream = silent()
    const start = performance.now()
    const error = await rejection(client()[method](BUCKET, 'a', stream, callback(), signalAfter(100)))
    assert.equal(error.name, 'TimeoutError')
    assert.ok(stream.destroyed && performance.now() - start < HANG / 2)
  }
})

const FACE = new URL('../../node/index.mjs', import.meta.url)

const KEYS = `{ accessKeyId: env.OSS_ACCESS_KEY_ID, accessKeySecret: env.OSS_ACCESS_KEY_SECRET }`
const PRELUDE = `
  import { Callback, Client } from ${JSON.stringify(FACE.href)}
  const { env } = process
  const credentialsProvider = async () => (${KEYS})
  const client = new Client({ endpoint: env.OSS_ENDPOINT, region: env.OSS_REGION, credentialsProvider })
  const callback = new Callback(env.APP_URL + '/ok')
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }
`

/** A program of its own: what it prints, and how it ends. */
async function program(code, env = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PRELUDE + code], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
    timeout: 30_000,
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  const start = performance.now()
  const [status] = await once(child, 'close')
  return { output, status, took: performance.now() - start }
}

test('a_program_ends_when_its_uploads_do_and_not_for_its_provider', async () => {
  const { output, status, took } = await program(`
    const stream = async function* () { yield Buffer.from('a') }
    const reply = await client.uploadFileWithCallback('examplebucket', 'a', stream(), callback)
    console.log(reply.text)
  `)
  assert.equal(output, '{"Status":"OK"}\n')
  assert.equal(status, 0)
  assert.ok(took < HANG / 2)
})

test('a_program_can_exit_in_the_middle_of_an_upload', async () => {
  const { status, took } = await program(`
    client.uploadFileWithCallback('examplebucket', 'a', silent, callback)
    client.putObjectWithCallback('examplebucket', 'a', silent, callback)
    setTimeout(() => process.exit(7), 200)
  `)
  assert.equal(status, 7)
  assert.ok(took < HANG / 2)
})

const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { createReadStream } = require('node:fs')
  const { Callback, Client } = require(workerData.face)
  const { env } = process
  const credentialsProvider = async () => (${KEYS})
  const client = new Client({ endpoint: env.OSS_ENDPOINT, region: env.OSS_REGION, credentialsProvider })
  const callback = new Callback(env.APP_URL + '/ok')
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }
  const put = (source) => client.putObjectWithCallback('examplebucket', 'worker', source, callback)
  if (workerData.hang) {
    put(silent)
    client.uploadFileWithCallback('examplebucket', 'worker', silent, callback)
    parentPort.postMessage('hanging')
  } else {
    const streams = Array.from({ length: 8 }, () => put(createReadStream(workerData.path)))
    Promise.all(streams).then((replies) => parentPort.postMessage(replies.map((reply) => reply.crc64)))
  }
`

test('workers_stream_beside_the_main_thread_and_can_be_terminated', async () => {
  const place = path.join(folder, 'worker')
  await writeFile(place, Buffer.alloc(3 * MIB, 'worker'))
  const face = fileURLToPath(new URL('../../node/index.js', import.meta.url))
  const worker = (hang) => new Worker(WORKER, { eval: true, workerData: { face, path: place, hang } })
  const put = () => client().putObjectWithCallback(BUCKET, 'main', createReadStream(place), callback())
  const threads = [worker(false), worker(false)]
  const [own, ...theirs] = await Promise.all([
    put(),
    ...threads.map(async (thread) => {
      // Its end may follow its message in the same turn.
      const [[sums], [code]] = await Promise.all([once(thread, 'message'), once(thread, 'exit')])
      assert.equal(code, 0)
      return sums
    }),
  ])
  assert.deepEqual(new Set(theirs.flat()), new Set([own.crc64]))
  for (let round = 0; round < 3; round += 1) {
    const thread = worker(true)
    await once(thread, 'message')
    await thread.terminate()
  }
  assert.equal((await put()).crc64, own.crc64)
})
