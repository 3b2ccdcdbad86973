// What concerns the event loop, signals, threads and memory.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { getEventListeners, once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { at, BUCKET, callback, client, DATA, faulty, HANG, liveHandles, rejection } from './bed.mjs'

const put = (uploading, key, asked, options) =>
  uploading.putObjectWithCallback(BUCKET, key, DATA, asked, options)

/** For 256 calls of 1 s each: how long they took, and how late a timer of 10 ms was, mostly and at worst. */
async function of256Calls() {
  const uploading = client()
  const asked = callback('/delay/1000')
  const start = performance.now()
  const calls = Promise.all(
    Array.from({ length: 256 }, (_, number) => put(uploading, `256/${number}`, asked)),
  )
  const lateness = []
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    lateness.push(now - last - 10)
    last = now
  }, 10)
  // Files are read by libuv's four threads.
  await readFile(fileURLToPath(import.meta.url))
  const read = performance.now() - start
  const replies = await calls
  const took = performance.now() - start
  clearInterval(timer)
  assert.ok(replies.every((reply) => reply.text === '{"Status":"OK"}'))
  lateness.sort((a, b) => a - b)
  return { took, read, median: lateness[lateness.length >> 1], longest: lateness.at(-1) }
}

test('256_calls_wait_for_their_callbacks_while_timers_and_files_go_on', async () => {
  const inTime = ({ took, read, median, longest }) => took < 2000 && read < 900 && median < 5 && longest < 200
  const rounds = [await of256Calls()]
  // Strangers hold up any process on a busy machine: one round of three suffices.
  while (rounds.length < 3 && !inTime(rounds.at(-1))) {
    rounds.push(await of256Calls())
  }
  assert.ok(inTime(rounds.at(-1)), JSON.stringify(rounds))
})

/** How many of the library's background threads there are in this process. */
async function backgroundThreads() {
  const tasks = await readdir('/proc/self/task')
  // A thread may end meanwhile.
  const names = tasks.map((task) => readFile(`/proc/self/task/${task}/comm`, 'utf8').catch(() => ''))
  return (await Promise.all(names)).filter((name) => name === 'oss-callback\n').length
}

test('small_calls_on_kept_connections_take_no_thread', { skip: process.platform !== 'linux' }, async () => {
  const uploading = client()
  const asked = callback('/delay/50')
  const before = await backgroundThreads()
  for (let round = 0; round < 5; round++) {
    const calls = [0, 1, 2].map((number) => put(uploading, `kept/${number}`, asked))
    assert.ok((await backgroundThreads()) <= before)
    await Promise.all(calls)
  }
})

test('an_aborted_signal_sends_nothing', async () => {
  const reason = new Error('never mind')
  const marked = callback('/ok', { body: 'marker=aborted-before' })
  const signal = AbortSignal.abort(reason)
  assert.equal(await rejection(put(client(), 'a', marked, { signal })), reason)
  const seen = await fetch(`${at.APP_URL}/__count/aborted-before`)
  assert.equal(await seen.text(), '0')
})

test('the_reason_of_a_timeout_is_kept', async () => {
  const start = performance.now()
  const error = await rejection(put(faulty(), 'hang/a', callback(), { signal: AbortSignal.timeout(200) }))
  assert.ok(performance.now() - start < HANG / 10)
  assert.ok(error instanceof DOMException)
  assert.equal(error.name, 'TimeoutError')
})

test('a_signal_is_shared_and_its_other_listeners_are_left_alone', async () => {
  const warnings = []
  const warn = (warning) => warnings.push(warning)
  process.on('warning', warn)
  const controller = new AbortController()
  const { signal } = controller
  const heard = []
  signal.onabort = () => heard.push('onabort')
  signal.addEventListener('abort', () => heard.push('listener'))
  const before = getEventListeners(signal, 'abort').length
  const uploading = faulty()
  await put(uploading, 'json/a', callback(), { signal })
  await rejection(put(uploading, 'wrong-crc/a', callback(), { signal }))
  await rejection(put(uploading, '', callback(), { signal }))
  assert.equal(getEventListeners(signal, 'abort').length, before)
  const calls = Array.from({ length: 30 }, () => rejection(put(uploading, 'hang/a', callback(), { signal })))
  setTimeout(() => controller.abort('enough'), 100)
  assert.deepEqual(new Set(await Promise.all(calls)), new Set(['enough']))
  assert.deepEqual(heard.sort(), ['listener', 'onabort'])
  assert.equal(getEventListeners(signal, 'abort').length, before)
  process.off('warning', warn)
  assert.deepEqual(warnings, [])
  // The client alone, if that.
  assert.ok((await liveHandles(1)) <= 1)
})

test('a_call_that_has_ended_lets_go_of_its_signal', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const listeners = () => getEventListeners(signal, 'abort').length
  const uploading = client()
  const data = { bucket: BUCKET, key: 'a', size: DATA.length }
  for (const start of [
    () => put(uploading, 'a', callback(), { signal }),
    () => put(uploading, 'a', callback('/status/500'), { signal }),
    () => uploading.uploadFileWithCallback(BUCKET, 'a', DATA, callback(), { signal }),
    () => uploading.uploadFileWithCallback(BUCKET, 'a', DATA, callback('/status/500'), { signal }),
    () => uploading.confirm(data, { signal }),
  ]) {
    const call = start().catch(() => {})
    await Promise.resolve()
    assert.equal(listeners(), 1)
    await call
    assert.equal(listeners(), 0)
  }
  // Nobody is told, and nothing is rejected that nobody waits for.
  controller.abort()
  assert.equal((await put(uploading, 'a', callback())).text, '{"Status":"OK"}')
})

test('a_digest_is_not_computed_in_the_way_of_timers', async () => {
  const data = Buffer.alloc(64 << 20)
  const uploading = client()
  const options = { contentMd5: 'auto' }
  // How many milliseconds this process works, on all of its threads, while a timer waits: no time passes so
  // while strangers have the processor.
  const worked = () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  }
  // The least of three rounds: how long a copy of the data works depends on what the system has at hand.
  const waitedFor = async (call) => {
    const pauses = []
    for (let round = 0; round < 3; round += 1) {
      let longest = 0
      let last = worked()
      const timer = setInterval(() => {
        longest = Math.max(longest, worked() - last)
        last = worked()
      }, 5)
      assert.ok((await call()).etag)
      clearInterval(timer)
      pauses.push(longest)
    }
    return Math.min(...pauses)
  }
  const start = worked()
  createHash('md5').update(data).digest()
  const digest = worked() - start
  for (const way of [
    (more) => uploading.putObjectWithCallback(BUCKET, 'md5', data, callback(), more),
    (more) => uploading.uploadFileWithCallback(BUCKET, 'md5', data, callback(), { threshold: 1 << 30, ...more }),
  ]) {
    // Without a digest, the data is copied all the same.
    const [copied, longest] = [await waitedFor(() => way({})), await waitedFor(() => way(options))]
    const told = `a timer waited for ${longest} ms of work, ${copied} without a digest, which takes ${digest} ms`
    assert.ok(longest < copied + digest / 2, told)
  }
  const reason = new Error('never mind')
  const controller = new AbortController()
  const call = put(uploading, 'md5', callback(), { ...options, signal: controller.signal })
  controller.abort(reason)
  assert.equal(await rejection(call), reason)
  // The testbed need not keep it.
  await put(uploading, 'md5', callback())
})

test('data_that_is_changed_during_the_call_is_sent_as_it_was', async () => {
  const data = Buffer.alloc(100_000, 'a')
  const uploading = client()
  const asked = callback('/echo', { body: 'crc64=${crc64}' })
  const { crc64 } = await uploading.putObjectWithCallback(BUCKET, 'mutable', Buffer.from(data), asked)
  const call = uploading.putObjectWithCallback(BUCKET, 'mutable', data, asked)
  data.fill('b')
  assert.equal((await call).crc64, crc64)
})

test('data_is_taken_from_every_kind_of_buffer', async () => {
  const asked = callback('/echo', { body: 'size=${size}&crc64=${crc64}' })
  const bytes = Buffer.from('..abcdef..')
  const slice = bytes.subarray(2, 8)
  const array = new Uint8Array(slice).buffer
  const shared = new SharedArrayBuffer(6)
  new Uint8Array(shared).set(slice)
  const uploading = client()
  const seen = new Set()
  for (const data of [
    slice,
    new Uint8Array(slice),
    array,
    new DataView(array),
    new Uint16Array(array),
    shared,
  ]) {
    const reply = await uploading.putObjectWithCallback(BUCKET, 'buffer', data, asked)
    seen.add(reply.json().body)
  }
  assert.equal(seen.size, 1)
  structuredClone(array, { transfer: [array] })
  for (const data of [array, new Uint8Array(0)]) {
    const call = uploading.putObjectWithCallback(BUCKET, 'buffer', data, asked)
    if (data === array) {
      assert.match((await rejection(call)).message, /detached/)
    } else {
      assert.ok((await call).etag)
    }
  }
})

test('a_call_under_way_survives_the_closing_of_its_client', async () => {
  const uploading = client()
  const call = put(uploading, 'closing', callback('/delay/200'))
  uploading.close()
  assert.equal((await call).text, '{"Status":"OK"}')
})

const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { Callback, Client } = require(workerData.face)
  const client = new Client(workerData.options)
  const put = (key) =>
    client.putObjectWithCallback('examplebucket', key, Buffer.from('data'), new Callback(workerData.url))
  if (workerData.hang) {
    put('hang/a')
    parentPort.postMessage('hanging')
  } else {
    Promise.all(Array.from({ length: 16 }, (_, n) => put('worker/' + n))).then((replies) =>
      parentPort.postMessage(replies.map((reply) => reply.text)))
  }
`

function worker(more) {
  const options = {
    endpoint: more.hang ? at.FAULTY_ENDPOINT : at.OSS_ENDPOINT,
    region: at.OSS_REGION,
    accessKeyId: at.OSS_ACCESS_KEY_ID,
    accessKeySecret: at.OSS_ACCESS_KEY_SECRET,
    ...more.options,
  }
  const face = fileURLToPath(new URL('../../node/index.js', import.meta.url))
  return new Worker(WORKER, { eval: true, workerData: { face, url: `${at.APP_URL}/ok`, ...more, options } })
}

test('workers_upload_beside_the_main_thread', async () => {
  const ended = Array.from({ length: 3 }, async () => {
    const thread = worker({})
    // Its end may follow its message in the same turn.
    const [[texts], [code]] = await Promise.all([once(thread, 'message'), once(thread, 'exit')])
    assert.deepEqual(new Set(texts), new Set(['{"Status":"OK"}']))
    assert.equal(code, 0)
  })
  await Promise.all([...ended, put(client(), 'main', callback())])
})

test('a_worker_can_be_terminated_while_a_call_is_under_way', async () => {
  for (let round = 0; round < 5; round += 1) {
    // The call ends after the worker's environment is gone.
    const thread = worker({ hang: true, options: { timeoutMs: 150 } })
    await once(thread, 'message')
    await thread.terminate()
  }
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal((await put(client(), 'after', callback())).text, '{"Status":"OK"}')
})

test('log_is_asked_for_by_the_environment', async () => {
  const face = new URL('../../node/index.mjs', import.meta.url)
  const code = `
    import { Callback, Client } from ${JSON.stringify(face.href)}
    const client = new Client()
    for (const path of ['/ok', '/status/500']) {
      const asked = new Callback(process.env.APP_URL + path)
      await client.putObjectWithCallback('examplebucket', 'log' + path, Buffer.from('data'), asked).catch(() => {})
    }`
  const lines = async (level) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, OSS_CALLBACK_LOG: level },
    })
    const shown = await text(child.stderr)
    assert.ok(!shown.includes(at.OSS_ACCESS_KEY_SECRET))
    return shown.split('\n').filter(Boolean)
  }
  assert.deepEqual(await lines(''), [])
  const uploads = (await lines('debug')).filter((line) => line.includes('uploaded'))
  assert.match(uploads[0], /: uploaded .*log\/ok/)
  assert.match(uploads[1], /: not uploaded .*log\/status\/500/)
})

function program(code) {
  const face = new URL('../../node/index.mjs', import.meta.url)
  const prelude = `
    import { Callback, Client } from ${JSON.stringify(face.href)}
    const { env } = process
    const client = new Client({ region: 'cn-hangzhou', accessKeyId: 'a', accessKeySecret: 'b', endpoint: env.FAULTY_ENDPOINT })
    const put = (key) => client.putObjectWithCallback('examplebucket', key, Buffer.from('data'), new Callback(env.APP_URL + '/ok'))
  `
  return spawn(process.execPath, ['--input-type=module', '--eval', prelude + code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function ending(child) {
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  const start = performance.now()
  const [status, killed] = await once(child, 'close')
  return { output, status, killed, took: performance.now() - start }
}

test('a_program_lives_until_its_calls_end_and_no_longer', async () => {
  const { output, status, took } = await ending(
    program(`put('json/a').then((reply) => console.log(reply.text))`),
  )
  assert.equal(output, '{"Status":"OK"}\n')
  assert.equal(status, 0)
  assert.ok(took < HANG / 2)
})

test('a_program_can_exit_while_a_call_is_under_way', async () => {
  const { status, killed, took } = await ending(
    program(`put('hang/a'); setTimeout(() => process.exit(7), 200)`),
  )
  assert.deepEqual([status, killed], [7, null])
  assert.ok(took < HANG / 2)
})

// `OSS_CALLBACK_MEMORY_CALLS=100000 cargo xtask test node` is the thorough one.
test('calls_leave_memory_flat', async () => {
  const calls = Number(process.env.OSS_CALLBACK_MEMORY_CALLS ?? 4000)
  const uploading = faulty()
  const { signal } = new AbortController()
  const asked = callback()
  const some = async (count) => {
    for (let done = 0; done < count; done += 100) {
      const batch = Array.from({ length: 100 }, (_, index) => {
        const key = index % 10 === 9 ? 'failed/a' : 'json/a'
        const options =
          index % 2 === 0 ? { signal, contentType: 'text/plain', metadata: { a: 'b' } } : undefined
        return put(uploading, key, index % 5 === 0 ? { url: `${at.APP_URL}/ok` } : asked, options).catch(
          String,
        )
      })
      await Promise.all(batch)
    }
    assert.equal(await liveHandles(2), 2)
    return process.memoryUsage()
  }
  await some(calls / 2)
  const before = await some(calls / 2)
  const after = await some(calls)
  const perCall = (name) => (after[name] - before[name]) / calls
  // A leak of 64 bytes a call shows in 100,000 of them; in few calls it drowns in what pools keep.
  const limit = 20 + 2e6 / calls
  for (const name of calls < 50_000 ? ['heapUsed', 'external'] : ['heapUsed', 'external', 'rss']) {
    assert.ok(perCall(name) < limit, `${name} grew by ${perCall(name)} bytes a call`)
  }
  uploading.close()
  assert.equal(asked.urls.length, 1)
})
