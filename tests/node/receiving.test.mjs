// The scenarios of the receiving side in tests/scenarios.toml, by their names.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import {
  CallbackEvent,
  CallbackVerifier,
  InvalidArgumentError,
  ServiceError,
  VerificationError,
  failure,
  refusal,
  reply,
} from '../../node/index.mjs'
import { at, BUCKET, callback, client, publicKey, rejection, thrown } from './bed.mjs'
import { ALL, byKey, ONE_MINUTE, reason, received, SECRET, trusting, V2, verify } from './received.mjs'

test('received_callback_is_verified', async () => {
  const request = await received(callback('/echo?a=1', { body: ALL, vars: { order: 'n° 42 & more' } }))
  const verifier = trusting({ bucket: BUCKET })
  const event = await verify(verifier, request)
  assert.ok(event instanceof CallbackEvent)
  assert.equal(event.bucket, BUCKET)
  assert.equal(event.key, 'a b/ü.txt')
  assert.equal(event.etag, request.reply.etag)
  assert.equal(event.crc64, request.reply.crc64)
  assert.equal(event.size, 4)
  assert.equal(event.mimeType, 'text/plain')
  assert.equal(event.requestId, request.reply.requestId)
  assert.equal(event.operation, 'PutObject')
  assert.equal(event.clientIp, '127.0.0.1')
  assert.equal(event.vpcId, '')
  assert.deepEqual({ ...event.variables }, { order: 'n° 42 & more' })
  assert.equal(event.variables.toString, undefined)
  assert.equal(event.seal, undefined)
  assert.deepEqual(event.image, { width: undefined, height: undefined, format: undefined })
  assert.deepEqual(event.fields[3], { name: 'size', text: '4', kind: 'string' })
  assert.deepEqual({ ...event.notNumbers }, {})
  assert.ok(JSON.parse(JSON.stringify(event)).crc64, 'an event can be written as JSON')

  // Absent, empty and non-numeric values are told apart; so are the kinds of JSON.
  const body =
    '{"size":"4 bytes","crc64":"","imageInfo":{"width":18446744073709551615,"height":5},"ok":true,"n":null}'
  const odd = await received(callback('/echo', { body, bodyType: 'json', unchecked: true }))
  const told = await verify(trusting(), odd)
  assert.deepEqual([told.size, told.crc64, told.key], [undefined, undefined, undefined])
  assert.deepEqual(told.image, { width: undefined, height: 5, format: undefined })
  assert.deepEqual(
    { ...told.notNumbers },
    {
      size: '4 bytes',
      'imageInfo.width': '18446744073709551615',
      crc64: '',
    },
  )
  assert.deepEqual(
    told.fields.map(({ name, kind }) => `${name} ${kind}`),
    [
      'size string',
      'crc64 string',
      'imageInfo.width number',
      'imageInfo.height number',
      'ok boolean',
      'n null',
    ],
  )
})

test('altered_callback_is_refused_with_a_reason', async () => {
  const request = await received(callback('/echo?a=1'))
  const verifier = trusting()
  const without = (name) => request.headers.filter(([one]) => one.toLowerCase() !== name)
  const evil = Buffer.from('http://evil.example/k.pem').toString('base64')
  const official = new CallbackVerifier()
  const named = (url) => [...without('x-oss-pub-key-url'), ['x-oss-pub-key-url', url]]
  for (const [refusing, altered, expected] of [
    [verifier, { body: Buffer.from('other') }, 'wrong_signature'],
    [verifier, { target: '/echo' }, 'wrong_signature'],
    [verifier, { target: 'echo' }, 'bad_target'],
    [verifier, { method: 'PUT' }, 'wrong_method'],
    [verifier, { headers: without('authorization') }, 'missing_authorization'],
    [official, { headers: without('x-oss-pub-key-url') }, 'missing_key_url'],
    [official, { headers: named(evil) }, 'key_url_refused'],
    [official, { headers: named('%') }, 'bad_key_url'],
    [trusting({ maxBody: 10 }), {}, 'body_too_large'],
    [trusting({ bucket: ['films', 'music'] }), {}, 'wrong_bucket'],
  ]) {
    assert.equal(await reason(refusing, { ...request, ...altered }), expected)
  }
  const error = await rejection(verify(verifier, { ...request, target: '/echo' }))
  assert.ok(error.hint.length > 0 && error.message.includes(error.hint))
  assert.ok(!error.message.includes(request.body.toString()))
  const tooLarge = await rejection(verify(trusting({ maxBody: 10 }), request))
  assert.match(tooLarge.hint, /maxBody/)
})

test('key_function_replaces_the_fetching_never_the_rule', async () => {
  const request = await byKey(V2)
  const asked = []
  for (const fetchKey of [
    (url) => (asked.push(url), publicKey),
    async (url) => (asked.push(url), await sleep(20), Buffer.from(publicKey)),
  ]) {
    const verifier = new CallbackVerifier({ fetchKey })
    // Together they share one fetch, and later ones need none.
    const events = await Promise.all(Array.from({ length: 20 }, () => verify(verifier, request)))
    assert.ok(events.every((event) => event.bucket === BUCKET))
    assert.equal((await verify(verifier, request)).bucket, BUCKET)
    assert.deepEqual(asked.splice(0), [V2])
    assert.equal(await reason(verifier, await byKey('https://evil.example/k.pem')), 'key_url_refused')
    assert.deepEqual(asked, [])
  }
  const why = new Error('no route to the key')
  for (const fetchKey of [
    () => Promise.reject(why),
    () => {
      throw why
    },
  ]) {
    const failing = new CallbackVerifier({ fetchKey })
    const errors = await Promise.all([1, 2].map(() => rejection(verify(failing, request))))
    for (const error of [...errors, await rejection(verify(failing, request))]) {
      assert.equal(error.reason, 'key_unavailable')
      assert.match(error.message, /no route to the key/)
      assert.match(error.hint, /fetchKey or trustedKeys/)
    }
    assert.equal(errors[0].cause, why)
    assert.notEqual(errors[0], errors[1])
  }
  for (const [given, expected] of [
    ['<html>', 'bad_key'],
    [undefined, 'key_unavailable'],
  ]) {
    assert.equal(await reason(new CallbackVerifier({ fetchKey: () => given }), request), expected)
  }
})

test('seal_is_demanded_and_used_once', async () => {
  const sealed = callback('/echo', { vars: { order: '42' }, seal: ONE_MINUTE })
  assert.ok(sealed.isToBeSealed)
  const request = await received(sealed)
  const used = new Set()
  const firstUse = (nonce, expiresAt) => {
    assert.ok(expiresAt instanceof Date && expiresAt - Date.now() < 61_000 && expiresAt > new Date())
    return !used.has(nonce) && Boolean(used.add(nonce))
  }
  for (const ask of [firstUse, async (...seal) => (await sleep(1), firstUse(...seal))]) {
    used.clear()
    const verifier = trusting({ sealSecret: ['another secret of 16 bytes', SECRET], firstUse: ask })
    const event = await verify(verifier, request)
    assert.ok(used.has(event.seal.nonce))
    assert.deepEqual({ ...event.variables }, { order: '42' })
    assert.equal(await reason(verifier, request), 'replayed')
  }
  assert.equal((await verify(trusting({ sealSecret: SECRET }), request)).key, 'a b/ü.txt')
  assert.equal(await reason(trusting({ sealSecret: 'another secret of 16 bytes' }), request), 'seal_wrong')
  assert.equal(
    await reason(trusting({ sealSecret: SECRET }), await received(callback('/echo'))),
    'seal_missing',
  )
  const plain = { url: `${at.APP_URL}/echo`, seal: ONE_MINUTE }
  assert.ok((await verify(trusting({ sealSecret: SECRET }), await received(plain))).seal)

  const why = new Error('the database is down')
  const broken = trusting({ sealSecret: SECRET, firstUse: () => Promise.reject(why) })
  assert.equal(await rejection(verify(broken, request)), why)
  const forgetful = trusting({ sealSecret: SECRET, firstUse: () => {} })
  assert.equal((await rejection(verify(forgetful, request))).field, 'firstUse')
})

test('confirm_asks_oss', async () => {
  const asked = callback('/echo', { body: ALL, vars: { order: '1' } })
  const request = await received(asked, 'confirmed.txt')
  const event = await verify(trusting(), request)
  const asking = client()
  const found = await asking.confirm(event, { signal: AbortSignal.timeout(10_000) })
  assert.deepEqual([found.etag, found.size, found.crc64], [event.etag, 4, event.crc64])
  assert.equal(found.contentType, 'text/plain')
  assert.ok(found.lastModified instanceof Date && found.requestId)
  assert.ok(await asking.confirm({ bucket: BUCKET, key: 'confirmed.txt', crc64: BigInt(event.crc64) }))

  await received(asked, 'confirmed.txt', Buffer.from('others'))
  const differs = await rejection(asking.confirm(event))
  assert.ok(differs instanceof VerificationError)
  assert.equal(differs.reason, 'object_differs')
  assert.match(differs.message, /its size is 6, not 4/)
  const missing = await rejection(asking.confirm(new CallbackEvent({ bucket: BUCKET, key: 'none', size: 1 })))
  assert.equal(missing.reason, 'object_missing')
  // What is not a number is no match.
  const odd = new CallbackEvent({ bucket: BUCKET, key: 'confirmed.txt', notNumbers: { size: 'six' } })
  assert.equal((await rejection(asking.confirm(odd))).reason, 'object_differs')
  const kept = { bucket: BUCKET, key: 'confirmed.txt' }
  for (const facts of [{ size: 6 }, { size: '6' }, { size: 6n }, { etag: undefined, size: 6 }]) {
    assert.equal((await asking.confirm({ ...kept, ...facts })).size, 6)
  }
  for (const [facts, told] of [
    [{ notNumbers: { size: 'six' } }, 'its size is 6, not `six`'],
    [{ notNumbers: { size: '' } }, 'its size is 6, not (nothing)'],
    [{ size: 6, notNumbers: { crc64: '-1' } }, 'not `-1`'],
    [{ size: 6.5 }, 'not `6.5`'],
    [{ size: 6, etag: null }, 'its ETag is'],
    [{ size: 6, crc64: null }, 'not (nothing)'],
  ]) {
    const { message, reason } = await rejection(asking.confirm({ ...kept, ...facts }))
    assert.equal(reason, 'object_differs')
    assert.ok(message.includes(told), message)
  }
  const parsed = (body) => CallbackEvent.parse(Buffer.from(body), 'form')
  assert.equal((await asking.confirm(parsed('bucket=examplebucket&object=confirmed.txt&size=6'))).size, 6)
  const quoted = parsed(`bucket=examplebucket&object=confirmed.txt&crc64=${event.crc64}&size=%22`)
  assert.match((await rejection(asking.confirm(quoted))).message, /its size is 6, not `\\"`; its CRC-64 is/)
  for (const facts of [{ etag: {} }, { size: Symbol('six') }, { etag: '\ud800' }]) {
    assert.equal((await rejection(asking.confirm({ ...kept, ...facts }))).field, 'event')
  }
  assert.equal((await rejection(asking.confirm({ bucket: BUCKET, key: 'k' }))).field, 'event')
  assert.equal((await rejection(asking.confirm())).field, 'event')
  assert.equal((await rejection(asking.confirm(event, { timeout: 5 }))).field, 'timeout')
  const wrong = await rejection(client({ accessKeySecret: 'wr0ng' }).confirm(event))
  assert.ok(wrong instanceof ServiceError && wrong.status === 403)
  const why = new Error('never mind')
  assert.equal(await rejection(asking.confirm(event, { signal: AbortSignal.abort(why) })), why)
  const hanging = client({ endpoint: at.FAULTY_ENDPOINT })
  const start = performance.now()
  const late = { bucket: BUCKET, key: 'hang/a', size: 1 }
  const error = await rejection(hanging.confirm(late, { signal: AbortSignal.timeout(100) }))
  assert.ok(error.name === 'TimeoutError' || error.reason === 'object_missing', String(error))
  assert.ok(performance.now() - start < 2000)
})

test('answer_is_checked_before_it_is_sent', () => {
  for (const json of ['{"Status":"OK","猫":1}', Buffer.from('[]'), { a: 1 }, [1], true, null, 5]) {
    const answer = reply(json)
    const text = typeof json === 'string' || Buffer.isBuffer(json) ? String(json) : JSON.stringify(json)
    assert.equal(answer.status, 200)
    assert.equal(answer.body.toString(), text)
    assert.deepEqual(answer.headers, {
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(text)),
    })
  }
  const cyclic = {}
  cyclic.self = cyclic
  for (const [json, ec] of [
    ['', undefined],
    ['OK', '0007-00000205'],
    ['\ufeff{}', '0007-00000205'],
    [Buffer.from([0x22, 0xff, 0x22]), '0007-00000205'],
    [`"${'a'.repeat(1 << 20)}"`, '0007-00000204'],
    [undefined, undefined],
    [() => {}, undefined],
    [1n, undefined],
    [cyclic, undefined],
  ]) {
    const error = thrown(() => reply(json))
    assert.ok(error instanceof InvalidArgumentError)
    assert.deepEqual([error.field, error.ec], ['answer', ec], error.message)
  }
  for (const [answer, status] of [
    [refusal(), 403],
    [failure(), 500],
  ]) {
    assert.equal(answer.status, status)
    assert.ok(JSON.parse(answer.body).error)
    assert.equal(answer.headers['Content-Length'], String(answer.body.length))
  }
})

test('hostile_callbacks_are_refused_without_harm', async () => {
  const request = await received(callback('/echo'))
  const harmless = async (altered) => {
    const verifying = verify(trusting(), { ...request, ...altered })
    await verifying.catch((error) => assert.ok(error instanceof VerificationError, String(error)))
  }
  for (const target of ['', '\0', '/%00', '/%', '/\ud800', '?', 'http://', 'é', '/'.repeat(100_000)]) {
    await harmless({ target })
  }
  const names = [
    'authorization',
    'x-oss-pub-key-url',
    'content-type',
    'x-oss-signature-version',
    '__proto__',
    '',
  ]
  for (const name of names) {
    for (const value of ['', '\0', '\xff', '=', 'A'.repeat(100_000), '\ud800', '{}']) {
      await harmless({
        headers: [[name, value], ...request.headers.filter(([one]) => one.toLowerCase() !== name)],
      })
    }
  }
  // OSS signs whatever its customer writes: these bodies carry a signature that is right.
  const deep = '['.repeat(900) + ']'.repeat(900)
  for (const [body, bodyType] of [
    ['a&'.repeat(1500), 'form'],
    ['a=%ff%fe&b=%00&=&==&&', 'form'],
    ['__proto__=1&constructor=2&toString=3&size=99999999999999999999', 'form'],
    [`{"a":${deep}}`, 'json'],
    ['{"a":"\\u0000","__proto__":{"polluted":true},"size":1e400}', 'json'],
    ['{"size":,}', 'json'],
    ['\u0000\u0001', 'form'],
  ]) {
    const asked = callback('/echo', { body, bodyType, unchecked: true })
    const signed = await received(asked)
    let event
    try {
      event = await verify(trusting(), signed)
    } catch (error) {
      assert.equal(error.reason, 'malformed_body', String(error))
      continue
    }
    assert.equal(Object.getPrototypeOf(event), CallbackEvent.prototype)
    assert.equal(event.polluted ?? {}.polluted, undefined)
    assert.equal(event.size, undefined)
  }
  const names2 = await received(callback('/echo', { body: '__proto__=1&constructor=2', unchecked: true }))
  assert.deepEqual(Object.entries((await verify(trusting(), names2)).variables), [
    ['__proto__', '1'],
    ['constructor', '2'],
  ])
})
