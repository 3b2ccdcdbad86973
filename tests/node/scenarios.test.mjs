// The scenarios of tests/scenarios.toml, by their names.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import {
  Callback,
  CallbackFailedError,
  IntegrityError,
  InvalidArgumentError,
  NetworkError,
  ServiceError,
  Signer,
  TimeoutError,
} from '../../node/index.mjs'
import { at, BUCKET, callback, client, DATA, faulty, HANG, liveHandles, rejection, thrown } from './bed.mjs'

const DATA_CRC64 = '14062946763493764991'
const DATA_ETAG = '8D777F385D3DFEC8815D20F7496026DC'

const form = (body) => Object.fromEntries(new URLSearchParams(body))

test('reply_comes_back', async () => {
  const reply = await client().putObjectWithCallback(BUCKET, 'reply.txt', DATA, callback())
  assert.ok(Buffer.isBuffer(reply.body))
  assert.equal(reply.body.toString(), '{"Status":"OK"}')
  assert.equal(reply.text, '{"Status":"OK"}')
  assert.deepEqual(reply.json(), { Status: 'OK' })
  assert.equal(reply.contentType, 'application/json')
  assert.equal(reply.etag, DATA_ETAG)
  assert.equal(reply.crc64, DATA_CRC64)
  assert.ok(reply.requestId)
  assert.equal(reply.versionId, undefined)
  assert.ok(reply.serverTimeMs === undefined || reply.serverTimeMs >= 0)
})

test('application_server_receives_the_callback', async () => {
  const asked = callback('/echo', {
    body: '{"key":${object},"size":${size},"who":${x:who},"mime":${mimeType}}',
    bodyType: 'json',
    vars: { who: '张三 & co' },
    headers: { 'X-Trace': 't-1' },
  })
  const reply = await client().putObjectWithCallback(BUCKET, '目录/图.jpg', Buffer.from('12345'), asked)
  const seen = reply.json()
  assert.equal(seen.method, 'POST')
  assert.equal(seen.target, '/echo')
  const headers = Object.fromEntries(seen.headers.map(([name, value]) => [name.toLowerCase(), value]))
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['x-trace'], 't-1')
  assert.deepEqual(JSON.parse(seen.body), {
    key: '目录/图.jpg',
    size: 5,
    who: '张三 & co',
    mime: 'image/jpeg',
  })
})

test('built_fields_reach_the_application_server', async () => {
  const fields = { key: '${object}', size: '${size}', note: 'a&b=c "quoted" ü', order: '${x:order}' }
  for (const bodyType of ['form', 'json']) {
    const asked = callback('/echo', { fields, bodyType, vars: new Map([['order', '4+2 %']]) })
    const reply = await client().putObjectWithCallback(BUCKET, 'dir/ü +.txt', Buffer.from('123'), asked)
    const { body } = reply.json()
    const seen = bodyType === 'json' ? JSON.parse(body) : form(body)
    const size = bodyType === 'json' ? 3 : '3'
    assert.deepEqual(seen, { key: 'dir/ü +.txt', size, note: 'a&b=c "quoted" ü', order: '4+2 %' })
  }
})

test('preview_shows_the_body_that_is_sent', async () => {
  const body =
    'bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&crc64=${crc64}&o=${x:o}'
  for (const options of [{ body }, { bodyType: 'json' }]) {
    const asked = callback('/echo', { ...options, vars: { o: 'a b/ü' } })
    const reply = await client().putObjectWithCallback(BUCKET, 'p q.txt', DATA, asked)
    const { etag, crc64 } = reply
    const values = { bucket: BUCKET, object: 'p q.txt', etag, size: 4, mimeType: 'text/plain', crc64 }
    assert.equal(asked.preview(values), reply.json().body)
    assert.equal(asked.preview({ ...values, crc64: BigInt(crc64) }), reply.json().body)
  }
})

test('reply_views_never_fail_the_upload', async () => {
  const expected = { text: 'thank you', empty: '', binary: Buffer.from([0xfe, 0x00, 0xff]) }
  for (const [kind, body] of Object.entries(expected)) {
    const reply = await faulty().putObjectWithCallback(BUCKET, `${kind}/a`, DATA, callback())
    assert.deepEqual(reply.body, Buffer.from(body))
    assert.equal(typeof reply.text, 'string')
    const error = thrown(() => reply.json())
    assert.ok(error instanceof InvalidArgumentError)
    assert.match(error.message, /upload itself succeeded/)
    assert.ok(error.cause instanceof Error)
  }
  const reply = await faulty().putObjectWithCallback(BUCKET, 'json/a', DATA, callback())
  assert.deepEqual(reply.json(), { Status: 'OK' })
})

test('failed_callback_says_the_object_is_stored', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const closed = new Callback(`http://127.0.0.1:${server.address().port}/cb`)
  server.close()
  await once(server, 'close')
  for (const [asked, cause] of [
    [callback('/status/500'), 'bad_status'],
    [callback('/redirect'), 'bad_status'],
    [callback('/reset'), 'unreachable'],
    [callback('/empty'), 'bad_content_length'],
    [callback('/text'), 'not_json'],
    [callback('/bom'), 'not_json'],
    [closed, 'unreachable'],
  ]) {
    const error = await rejection(client().putObjectWithCallback(BUCKET, 'failed.txt', DATA, asked))
    assert.ok(error instanceof CallbackFailedError && error instanceof ServiceError, String(error))
    assert.equal(error.name, 'CallbackFailedError')
    assert.equal(error.kind, 'callback_failed')
    assert.equal(error.code, 'ERR_OSS_CALLBACK_FAILED')
    assert.equal(error.ossCode, 'CallbackFailed')
    assert.equal(error.status, 203)
    assert.equal(error.stored, true)
    assert.equal(error.etag, DATA_ETAG)
    assert.equal(error.crc64, DATA_CRC64)
    assert.match(error.ec, /^0007-000002/)
    assert.ok(error.requestId)
    assert.equal(error.callbackCause, cause)
    assert.ok(error.hint.length > 0 && error.message.includes(error.hint))
    if (asked.urls[0].endsWith('/500')) {
      assert.equal(error.callbackStatus, 500)
    }
  }
})

test('callback_in_the_query_works_the_same', async () => {
  const inQuery = { callbackIn: 'query' }
  const asked = callback('/ok', { vars: { order: '42' } })
  const reply = await client().putObjectWithCallback(BUCKET, 'query.txt', DATA, asked, inQuery)
  assert.deepEqual(reply.json(), { Status: 'OK' })
  const failing = client().putObjectWithCallback(BUCKET, 'query.txt', DATA, callback('/status/500'), inQuery)
  assert.ok((await rejection(failing)) instanceof CallbackFailedError)
})

test('wrong_secret_is_a_service_error', async () => {
  const wrong = client({ accessKeySecret: 'wr0ng-secret' })
  const error = await rejection(wrong.putObjectWithCallback(BUCKET, 'a.txt', DATA, callback()))
  assert.equal(error.constructor, ServiceError)
  assert.deepEqual([error.status, error.ossCode, error.stored], [403, 'SignatureDoesNotMatch', false])
  assert.ok(error.requestId && error.stringToSign)
  for (const secret of ['wr0ng-secret', error.stringToSign, 'Signature=']) {
    assert.ok(!error.message.includes(secret))
  }
})

test('unknown_option_is_refused_with_a_suggestion', async () => {
  const put = (options) =>
    rejection(client().putObjectWithCallback(BUCKET, 'a', DATA, callback('/ok?typo'), options))
  for (const [options, suggestion] of [
    [{ contentTyp: 'text/plain' }, 'contentType'],
    [{ content_type: 'text/plain' }, 'contentType'],
    [{ timeout: 3000 }, 'timeoutMs'],
    [{ signall: undefined }, undefined],
  ]) {
    const error = await put(options)
    assert.ok(error instanceof InvalidArgumentError)
    assert.equal(error.field, Object.keys(options)[0])
    if (suggestion !== undefined) {
      assert.ok(error.message.includes(`did you mean \`${suggestion}\`?`), error.message)
    }
  }
  const refused = [
    [() => client({ connect_timeout: 1 }), 'connectTimeoutMs'],
    [() => callback('/ok', { bodytype: 'json' }), 'bodyType'],
    [() => new Signer('id', 'secret', { regoin: 'cn-hangzhou' }), 'region'],
    [() => new Signer('id', 'secret', { version: 'v1' }).sign('PUT', { buckett: 'b' }), 'bucket'],
  ]
  for (const [body, suggestion] of refused) {
    assert.ok(thrown(body).message.includes(`did you mean \`${suggestion}\`?`), thrown(body).message)
  }
  const seen = await fetch(`${at.APP_URL}/__count/typo`)
  assert.equal(await seen.text(), '0')
})

test('invalid_callback_is_refused_before_anything_is_sent', async () => {
  const url = 'https://app.example.com/cb'
  for (const [body, field, ec] of [
    [() => new Callback(url, { body: 'a=${objct}' }), 'callback.body', undefined],
    [() => new Callback(url, { body: 'a=${x:order}' }), 'callback.body', undefined],
    [() => new Callback('ftp://app.example.com/cb'), 'callback.url', '0007-00000004'],
    [() => new Callback(url, { headers: { 'x-oss-a': 'b' } }), 'callback.headers', undefined],
  ]) {
    const error = thrown(body)
    assert.ok(error instanceof InvalidArgumentError)
    assert.equal(error.field, field)
    if (ec !== undefined) {
      assert.equal(error.ec, ec)
    }
  }
  const plain = client().putObjectWithCallback(BUCKET, 'a', DATA, { url, body: '${nothing}' })
  assert.equal((await rejection(plain)).field, 'callback.body')
})

test('invalid_arguments_name_their_field', async () => {
  const refused = async (field, bucket, key, data, options) => {
    const error = await rejection(client().putObjectWithCallback(bucket, key, data, callback(), options))
    assert.ok(error instanceof InvalidArgumentError, String(error))
    assert.equal(error.field, field, error.message)
    assert.equal(error.stored, false)
    return error
  }
  await refused('bucket', 'Bad_Bucket', 'k', DATA)
  await refused('bucket', undefined, 'k', DATA)
  await refused('key', BUCKET, '', DATA)
  await refused('key', BUCKET, 'lone \ud800 surrogate', DATA)
  await refused('data', BUCKET, 'k', 5)
  for (const [field, options] of [
    ['trafficLimit', { trafficLimit: 1 }],
    ['trafficLimit', { trafficLimit: -1 }],
    ['trafficLimit', { trafficLimit: 819200.5 }],
    ['trafficLimit', { trafficLimit: '819200' }],
    ['metadata', { metadata: { a: 'b\nc' } }],
    ['metadata', { metadata: 'a=b' }],
    ['metadata', { metadata: ['a', 'b'] }],
    ['metadata', { metadata: new Date() }],
    ['metadata["n"]', { metadata: { n: 1 } }],
    ['acl', { acl: 'publik' }],
    ['timeoutMs', { timeoutMs: NaN }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['timeoutMs', { timeoutMs: -1 }],
    ['timeoutMs', { timeoutMs: Infinity }],
    ['contentType', { contentType: null }],
    ['forbidOverwrite', { forbidOverwrite: 1 }],
    ['signal', { signal: 5 }],
    ['options', 'contentType'],
    ['options', null],
  ]) {
    await refused(field, BUCKET, 'k', DATA, options)
  }
  assert.match((await refused('data', BUCKET, 'k', 'text')).hint, /`Buffer\.from\(text\)`/)
  const error = await rejection(
    client().putObjectWithCallback(BUCKET, 'k', DATA, 'https://app.example.com/cb'),
  )
  assert.match(error.hint, /new Callback\(url\)/)
})

test('signature_v1_and_v4_work', async () => {
  for (const signatureVersion of ['v1', 'v4']) {
    const signing = client({ signatureVersion })
    const reply = await signing.putObjectWithCallback(BUCKET, `${signatureVersion}.txt`, DATA, callback())
    assert.deepEqual(reply.json(), { Status: 'OK' })
  }
})

test('sts_token_is_sent_and_checked', async () => {
  const pair = { accessKeyId: at.STS_ACCESS_KEY_ID, accessKeySecret: at.STS_ACCESS_KEY_SECRET }
  const right = client({ ...pair, securityToken: at.STS_TOKEN })
  assert.ok((await right.putObjectWithCallback(BUCKET, 'sts.txt', DATA, callback())).etag)
  const wrong = client({ ...pair, securityToken: 'an0ther' })
  const error = await rejection(wrong.putObjectWithCallback(BUCKET, 'sts.txt', DATA, callback()))
  assert.ok(error instanceof ServiceError)
  assert.equal(error.status, 403)
  assert.ok(!error.message.includes('an0ther'))
})

test('awkward_keys_arrive_byte_for_byte', async () => {
  const keys = [
    'a//b',
    'a/./b',
    'a/../b',
    './a',
    'plus+plus',
    'per%cent',
    'slash%2Fslash',
    'ask?me',
    'hash#tag',
    '  blanks  ',
    'quote\'"quote',
    'amp&eq=semi;colon:',
    'tilde~!*()',
    '汉字/ü/😀',
    'back\\slash',
    '${object}',
  ]
  const asked = callback('/echo', { body: 'object=${object}' })
  const uploading = client()
  for (const key of keys) {
    const reply = await uploading.putObjectWithCallback(BUCKET, key, DATA, asked)
    assert.deepEqual(form(reply.json().body), { object: key })
  }
})

test('sizes_0_1_and_64_mib_arrive_whole', async () => {
  const asked = callback('/echo', { body: 'size=${size}&crc64=${crc64}' })
  for (const data of [Buffer.alloc(0), Buffer.from('1'), Buffer.alloc(64 << 20, randomBytes(64))]) {
    const reply = await client().putObjectWithCallback(BUCKET, 'size.bin', data, asked)
    assert.deepEqual(form(reply.json().body), { size: String(data.length), crc64: reply.crc64 })
  }
})

test('upload_options_arrive', async () => {
  const asked = callback('/echo', { body: 'mime=${mimeType}' })
  const reply = await client().putObjectWithCallback(BUCKET, 'options.bin', DATA, asked, {
    contentType: 'image/x-own',
    contentMd5: 'auto',
    metadata: { owner: 'me' },
    tagging: new Map([['team', 'a/b']]),
    headers: new Headers({ 'content-language': 'da' }),
    cacheControl: 'no-cache',
    storageClass: 'IA',
    trafficLimit: 838860800,
    timeoutMs: 30_000,
    contentEncoding: undefined,
  })
  assert.deepEqual(form(reply.json().body), { mime: 'image/x-own' })
})

test('damaged_data_is_an_integrity_error', async () => {
  const error = await rejection(faulty().putObjectWithCallback(BUCKET, 'wrong-crc/a', DATA, callback()))
  assert.ok(error instanceof IntegrityError)
  assert.deepEqual([error.retryable, error.stored], [false, false])
  assert.ok(error.etag)
})

test('refused_connection_is_a_network_error', async () => {
  const dead = client({ endpoint: at.DEAD_ENDPOINT })
  const error = await rejection(dead.putObjectWithCallback(BUCKET, 'secret-name', DATA, callback()))
  assert.ok(error instanceof NetworkError)
  assert.ok(error.message.includes(new URL(at.DEAD_ENDPOINT).host), error.message)
  assert.ok(!error.message.includes('secret-name'))
  assert.equal(error.cause.code, 'ECONNREFUSED')
})

test('timeout_is_reported', async () => {
  for (const [own, ofClient] of [
    [{ timeoutMs: 300 }, {}],
    [{}, { timeoutMs: 300 }],
  ]) {
    const start = performance.now()
    const error = await rejection(
      faulty(ofClient).putObjectWithCallback(BUCKET, 'hang/a', DATA, callback(), own),
    )
    const took = performance.now() - start
    assert.ok(error instanceof TimeoutError)
    assert.ok(took >= 299 && took < HANG / 2, `${took} ms`)
  }
})

test('cancel_ends_the_call_promptly', async () => {
  const uploading = faulty()
  const controller = new AbortController()
  const call = rejection(
    uploading.putObjectWithCallback(BUCKET, 'hang/a', DATA, callback(), { signal: controller.signal }),
  )
  setTimeout(() => controller.abort(), 200)
  const start = performance.now()
  const error = await call
  assert.ok(performance.now() - start < HANG / 10)
  assert.equal(error, controller.signal.reason)
  assert.equal(error.name, 'AbortError')
  assert.ok((await uploading.putObjectWithCallback(BUCKET, 'json/a', DATA, callback())).etag)
})

test('parallel_calls_share_one_client', async () => {
  const uploading = client()
  const start = performance.now()
  const put = (_, number) =>
    uploading.putObjectWithCallback(BUCKET, `parallel/${number}`, DATA, callback('/delay/1000'))
  const replies = await Promise.all(Array.from({ length: 64 }, put))
  const took = performance.now() - start
  assert.ok(took < 64_000 / 2, `64 calls of 1 s took ${took} ms`)
  assert.ok(replies.every((reply) => reply.text === '{"Status":"OK"}'))
})

test('handles_are_freed', async () => {
  const before = await liveHandles()
  await (async () => {
    const uploading = client()
    const signer = new Signer('id', 'secret', { region: 'cn-hangzhou' })
    const asked = callback()
    const { signal } = new AbortController()
    await uploading.putObjectWithCallback(BUCKET, 'handles.txt', DATA, asked, { signal })
    signer.presign('GET', { bucket: BUCKET, key: 'a', expiresInMs: 60_000 })
    await rejection(uploading.putObjectWithCallback('', 'k', DATA, asked))
    await rejection(uploading.putObjectWithCallback(BUCKET, 'handles.txt', DATA, callback('/status/500')))
    assert.ok((await liveHandles(before + 3)) >= before + 3)
    uploading.close()
    uploading.close()
    const error = await rejection(uploading.putObjectWithCallback(BUCKET, 'handles.txt', DATA, asked))
    assert.ok(error instanceof InvalidArgumentError && /closed/.test(error.message))
    assert.equal(uploading.endpoint, at.OSS_ENDPOINT)
    assert.ok(signer.version === 'v4' && asked.urls.length === 1)
  })()
  assert.equal(await liveHandles(before), before)
})
