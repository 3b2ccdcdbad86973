// The scenarios of tests/scenarios.toml about sources, large uploads and credentials, by their names.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createReadStream, existsSync, openAsBlob } from 'node:fs'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import {
  CallbackFailedError,
  CredentialsError,
  InvalidArgumentError,
  OutcomeUnknownError,
  ServiceError,
  SourceError,
} from '../../node/index.mjs'
import { at, BUCKET, callback, client, DATA, faulty, rejection } from './bed.mjs'

const MIB = 1 << 20
const folder = await mkdtemp(path.join(tmpdir(), 'oss-callback-node-'))
after(() => rm(folder, { recursive: true }))

/** A file of so many bytes, and them. */
async function file(name, length) {
  const data = randomBytes(length)
  const place = path.join(folder, name)
  await writeFile(place, data)
  return { data, path: place }
}

const told = (reply) => Object.fromEntries(new URLSearchParams(reply.json().body))

/** Chunks of all sizes, and empty ones. */
function* pieces(data) {
  for (let at = 0, size = 0; at < data.length; at += size, size = (size * 7 + 13) % 200_003) {
    yield data.subarray(at, at + size)
  }
}

async function* later(data) {
  for (const piece of pieces(data)) {
    await null
    yield piece
  }
}

test('sources_of_every_kind_arrive_whole', async () => {
  const { data, path: place } = await file('whole', 3 * MIB + 1)
  const url = pathToFileURL(place)
  const asked = callback('/echo', { body: 'size=${size}&crc64=${crc64}' })
  const { crc64 } = await client().putObjectWithCallback(BUCKET, 'whole', data, asked)
  const handle = () => open(place)
  const sources = {
    bytes: () => data,
    path: () => ({ path: place }),
    pathAsUrl: () => ({ path: url }),
    url: () => url,
    handle,
    fileStream: () => createReadStream(place),
    readable: () => Readable.from(later(data)),
    webStream: () => Readable.toWeb(createReadStream(place)),
    blob: () => new Blob([data]),
    fileBlob: () => openAsBlob(place),
    generator: () => pieces(data),
    asyncGenerator: () => later(data),
    array: () => [data.subarray(0, 5), new Uint16Array(0), data.subarray(5)],
    iterable: () => ({ [Symbol.asyncIterator]: () => later(data) }),
  }
  const streams = ['handle', 'fileStream', 'webStream', 'asyncGenerator']
  const uploading = client()
  const parts = { threshold: MIB, partSize: MIB }
  for (const [kind, make] of Object.entries(sources)) {
    const lengths = streams.includes(kind) ? [undefined, data.length, BigInt(data.length)] : [undefined]
    for (const length of lengths) {
      for (const upload of [
        (source) => uploading.putObjectWithCallback(BUCKET, kind, source, asked, { length }),
        (source) => uploading.uploadFileWithCallback(BUCKET, kind, source, asked, { length, ...parts }),
      ]) {
        const source = await make()
        const reply = await upload(source)
        assert.deepEqual(told(reply), { size: String(data.length), crc64 }, kind)
        assert.equal(reply.crc64, crc64, kind)
        // A handle is left to whoever opened it.
        await source.close?.()
      }
    }
  }
  for (const empty of [[], Readable.from([]), new Blob([])]) {
    const reply = await uploading.uploadFileWithCallback(BUCKET, 'empty', empty, asked)
    assert.deepEqual(told(reply), { size: '0', crc64: '0' })
  }
  const missing = path.join(folder, 'missing')
  const error = await rejection(uploading.putObjectWithCallback(BUCKET, 'a', { path: missing }, asked))
  assert.ok(error instanceof SourceError && error.message.includes(missing), error.message)
})

test('broken_source_is_a_source_error', async () => {
  const torn = new Error('the tape is torn')
  const { data } = await file('broken', 2 * MIB)
  const breaks = async function* () {
    yield data
    throw torn
  }
  const destroyed = () => {
    const stream = new Readable({ read: () => {} })
    stream.push(data.subarray(0, 100))
    setTimeout(() => stream.destroy(torn), 50)
    return stream
  }
  const broken = {
    generator: [breaks, undefined, torn],
    syncGenerator: [
      function* () {
        yield data
        throw torn
      },
      undefined,
      torn,
    ],
    readable: [destroyed, undefined, torn],
    webStream: [() => Readable.toWeb(destroyed()), undefined, torn],
    noChunk: [() => [data, 'text'], undefined, TypeError],
    short: [() => [data], data.length + 1, undefined],
    long: [() => [data], data.length - 1, undefined],
    missingFile: [() => createReadStream(path.join(folder, 'missing')), undefined, Error],
  }
  const uploading = client()
  for (const [kind, [make, length, cause]] of Object.entries(broken)) {
    for (const method of ['putObjectWithCallback', 'uploadFileWithCallback']) {
      const asked = callback('/ok', { body: `marker=broken-${kind}-${method}` })
      const error = await rejection(uploading[method](BUCKET, 'broken', make(), asked, { length }))
      assert.ok(error instanceof SourceError, `${kind}: ${error}`)
      assert.equal(error.code, 'ERR_OSS_SOURCE')
      assert.equal(error.stored, false)
      if (cause === torn) {
        assert.equal(error.cause, torn)
        assert.match(error.message, /the tape is torn/)
      } else if (cause !== undefined) {
        assert.ok(error.cause instanceof cause, kind)
      } else {
        assert.match(error.message, new RegExp(`${length}`))
      }
      const count = await fetch(`${at.APP_URL}/__count/broken-${kind}-${method}`)
      assert.equal(await count.text(), '0')
    }
  }
})

test('large_file_goes_in_parts_with_one_callback', async () => {
  const { path: place } = await file('large', 3 * MIB)
  const uploading = client()
  const asked = callback('/ok', { body: 'marker=large-in-parts' })
  const upload = (options) =>
    uploading.uploadFileWithCallback(BUCKET, 'large', { path: place }, asked, options)
  const reply = await upload({ threshold: MIB, partSize: MIB, contentType: 'video/mp4', contentMd5: 'auto' })
  assert.deepEqual(reply.json(), { Status: 'OK' })
  assert.match(reply.etag, /-3$/)
  const count = async () => (await fetch(`${at.APP_URL}/__count/large-in-parts`)).text()
  assert.equal(await count(), '1')
  assert.doesNotMatch((await upload({ threshold: 4 * MIB })).etag, /-/)
  assert.equal(await count(), '2')
  const error = await rejection(upload({ partSize: 5 }))
  assert.ok(error instanceof InvalidArgumentError)
  assert.equal(error.field, 'partSize')
  assert.match((await rejection(upload({ part_size: 5 }))).message, /did you mean `partSize`\?/)
})

test('progress_is_told', async () => {
  const { data, path: place } = await file('progress', 3 * MIB)
  const uploading = client()
  const upload = (source, options) =>
    uploading.uploadFileWithCallback(BUCKET, 'progress', source, callback(), { partSize: MIB, ...options })
  for (const [source, options, total, parts] of [
    [{ path: place }, { threshold: MIB }, data.length, 3],
    [{ path: place }, {}, data.length, undefined],
    [[data], {}, undefined, undefined],
    [new Blob([data]), { threshold: MIB }, data.length, 3],
  ]) {
    const seen = []
    await upload(source, { ...options, onProgress: (progress) => seen.push(progress) })
    assert.ok(seen.length >= 2)
    for (const [index, progress] of seen.entries()) {
      assert.deepEqual(Object.keys(progress), ['bytesDone', 'bytesTotal', 'partsDone', 'partsTotal'])
      assert.equal(progress.bytesTotal, total)
      assert.ok(index === 0 || progress.bytesDone >= seen[index - 1].bytesDone)
    }
    const last = seen.at(-1)
    assert.deepEqual([last.bytesDone, last.partsTotal], [data.length, parts])
    assert.equal(last.partsDone, parts ?? (total === undefined ? 3 : 0))
  }
  const enough = new Error('enough')
  const asked = callback('/ok', { body: 'marker=progress-fails' })
  for (const onProgress of [
    () => {
      throw enough
    },
    async () => {
      throw enough
    },
  ]) {
    const options = { threshold: MIB, partSize: MIB, onProgress }
    const failing = uploading.uploadFileWithCallback(BUCKET, 'progress', { path: place }, asked, options)
    assert.equal(await rejection(failing), enough)
  }
  assert.equal(await (await fetch(`${at.APP_URL}/__count/progress-fails`)).text(), '0')
  assert.equal((await rejection(upload([data], { onProgress: 5 }))).field, 'onProgress')
})

test('a_progress_function_that_fails_too_late_loses_no_reply', async () => {
  let failed = 0
  const onProgress = () => {
    failed += 1
    // While it holds up the event loop, the upload is completed.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
    throw new Error('too late')
  }
  const upload = (asked) =>
    client().uploadFileWithCallback(BUCKET, 'late', DATA, callback(asked), { onProgress })
  assert.equal((await upload('/ok')).text, '{"Status":"OK"}')
  const error = await rejection(upload('/status/500'))
  assert.ok(error instanceof CallbackFailedError && error.stored, String(error))
  assert.equal(failed, 2)
})

/** Ends an upload of many parts, by a signal, when some of them are done. */
async function cancelled(place, key, options) {
  const controller = new AbortController()
  let seen
  const onProgress = (progress) => {
    seen = progress
    if (progress.partsDone >= 3) {
      controller.abort(new Error('later'))
    }
  }
  const upload = client().uploadFileWithCallback(BUCKET, key, { path: place }, callback(), {
    threshold: MIB,
    partSize: 256 * 1024,
    parallel: 1,
    signal: controller.signal,
    onProgress,
    ...options,
  })
  assert.equal((await rejection(upload)).message, 'later')
  assert.ok(seen.partsDone >= 3 && seen.partsDone < seen.partsTotal, JSON.stringify(seen))
}

/** The unfinished uploads that OSS holds. */
async function uploadsLeft() {
  return (await fetch(`${at.CONTROL_URL}/uploads?bucket=${BUCKET}`)).json()
}

test('cancelled_upload_resumes_from_its_checkpoint', async () => {
  const { path: place, data } = await file('resumed', 48 * MIB)
  const checkpoint = path.join(folder, 'resumed.checkpoint')
  await cancelled(place, 'resumed', { checkpoint })
  assert.ok(existsSync(checkpoint))
  assert.equal((await uploadsLeft()).length, 1)
  const seen = []
  const upload = () =>
    client().uploadFileWithCallback(BUCKET, 'resumed', { path: place }, callback(), {
      checkpoint,
      onProgress: (progress) => seen.push(progress),
    })
  const reply = await upload()
  assert.ok(seen[0].partsDone >= 3 && seen[0].bytesDone >= 3 * 256 * 1024, JSON.stringify(seen[0]))
  assert.ok(!existsSync(checkpoint))
  assert.deepEqual(await uploadsLeft(), [])
  assert.equal(reply.crc64, (await client().putObjectWithCallback(BUCKET, 'same', data, callback())).crc64)
  await writeFile(checkpoint, '{"version":')
  const error = await rejection(upload())
  assert.ok(error instanceof InvalidArgumentError && error.message.includes(checkpoint), String(error))
})

test('cancelled_upload_leaves_no_parts', async () => {
  const { path: place } = await file('aborted', 48 * MIB)
  await cancelled(place, 'aborted')
  assert.deepEqual(await uploadsLeft(), [])
})

test('busy_service_is_retried', async () => {
  const put = (key, options) => faulty(options).putObjectWithCallback(BUCKET, key, DATA, callback())
  assert.deepEqual((await put('busy/2/node')).json(), { Status: 'OK' })
  const error = await rejection(put('busy/2/node-once', { retries: 0 }))
  assert.equal(error.constructor, ServiceError)
  assert.deepEqual([error.status, error.ossCode, error.retryable], [503, 'SlowDown', true])
  // A stream was read, and cannot be read again.
  const stream = rejection(
    faulty().putObjectWithCallback(BUCKET, 'busy/1/node-stream', later(DATA), callback()),
  )
  assert.match((await stream).message, /only once/)
})

test('lost_answer_is_outcome_unknown', async () => {
  const error = await rejection(faulty().putObjectWithCallback(BUCKET, 'lost/node', DATA, callback()))
  assert.ok(error instanceof OutcomeUnknownError, String(error))
  assert.equal(error.code, 'ERR_OSS_OUTCOME_UNKNOWN')
  assert.equal(error.stored, true)
  const { etag } = await faulty().putObjectWithCallback(BUCKET, 'json/a', DATA, callback())
  assert.equal(error.etag, etag)
})

test('credentials_function_is_asked', async () => {
  const right = { accessKeyId: at.STS_ACCESS_KEY_ID, accessKeySecret: at.STS_ACCESS_KEY_SECRET }
  const asking = (credentialsProvider) =>
    client({ credentialsProvider, accessKeyId: undefined, accessKeySecret: undefined })
  const put = (uploading, options) =>
    uploading.putObjectWithCallback(BUCKET, 'keys', DATA, callback(), options)
  for (const lifetime of [3600_000, 4000]) {
    let asked = 0
    const uploading = asking(async () => {
      asked += 1
      await null
      return { ...right, securityToken: at.STS_TOKEN, expiresAt: new Date(Date.now() + lifetime) }
    })
    await Promise.all(Array.from({ length: 8 }, () => put(uploading)))
    await put(uploading)
    assert.equal(asked, 1)
    if (lifetime < 3600_000) {
      await new Promise((resolve) => setTimeout(resolve, lifetime))
      await put(uploading)
      assert.equal(asked, 2)
    }
  }
  const sealed = new Error('the vault is sealed')
  const failing = asking(() => {
    throw sealed
  })
  const error = await rejection(put(failing))
  assert.ok(error instanceof CredentialsError)
  assert.match(error.message, /the vault is sealed/)
  assert.equal(error.cause, sealed)
  assert.equal(error.stored, false)
})
