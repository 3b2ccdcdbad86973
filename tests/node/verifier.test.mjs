// The verifier beyond the scenarios: what it takes, what it refuses to be made of, and the event loop.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CallbackEvent,
  CallbackVerifier,
  InvalidArgumentError,
  Signer,
  VerificationError,
} from '../../node/index.mjs'
import { at, BUCKET, callback, DATA, liveHandles, publicKey, rejection, thrown } from './bed.mjs'
import { byKey, ONE_MINUTE, reason, received, SECRET, trusting, V2, verify } from './received.mjs'

test('headers_are_taken_in_every_form', async () => {
  const request = await received(callback('/echo'))
  const pairs = request.headers
  const lower = pairs.map(([name, value]) => [name.toLowerCase(), value])
  for (const headers of [
    pairs,
    pairs.flat(),
    new Map(pairs),
    new Headers(pairs),
    Object.fromEntries(lower),
    { ...Object.fromEntries(lower), 'set-cookie': ['a', 'b'], nothing: undefined },
  ]) {
    assert.equal((await verify(trusting(), { ...request, headers })).bucket, BUCKET)
  }
  const twice = [...pairs.flat(), 'content-type', 'application/json']
  assert.equal(
    (await rejection(verify(trusting(), { ...request, headers: twice }))).reason,
    'duplicate_header',
  )
  for (const body of [new Uint8Array(request.body), new Uint8Array(request.body).buffer]) {
    assert.equal((await verify(trusting(), { ...request, body })).bucket, BUCKET)
  }
})

test('what_is_not_a_raw_request_is_refused_with_a_hint', async () => {
  const refused = async (field, ...request) => {
    const error = await rejection(trusting().verify(...request))
    assert.ok(error instanceof InvalidArgumentError, String(error))
    assert.equal(error.field, field)
    return error.hint
  }
  assert.match(await refused('body', 'POST', '/', [], '{}'), /decoded/)
  assert.match(await refused('body', 'POST', '/', [], { bucket: 'b' }), /before a body parser/)
  assert.match(await refused('body', 'POST', '/', []), /raw|before/)
  await refused('method', undefined, '/', [], DATA)
  await refused('target', 'POST', new URL('http://a/'), [], DATA)
  for (const headers of [undefined, 'a: b', ['a'], 5, [[1, '2']]]) {
    await refused('headers', 'POST', '/', headers, DATA)
  }
  await refused('headers["a"]', 'POST', '/', { a: 5 }, DATA)
})

test('the_signature_alone_can_be_verified', async () => {
  const sealed = await received(callback('/echo', { body: 'what=${object}&proof=${x:seal}', unchecked: true }))
  const { method, target, headers, body } = sealed
  // Neither the bucket nor a seal is in there, and it is not even asked for.
  const verifier = trusting({ bucket: BUCKET, sealSecret: SECRET })
  assert.equal(await verifier.verifySignature(method, target, headers, body), undefined)
  assert.equal(await reason(verifier, sealed), 'wrong_bucket')
  const altered = await rejection(verifier.verifySignature(method, target, headers, DATA))
  assert.equal(altered.reason, 'wrong_signature')
  await rejection(verifier.verifySignature(method, target, headers, 'text'))
  // A key that has to be fetched first is waited for.
  const asked = []
  const fetchKey = async (url) => (asked.push(url), publicKey)
  const request = await byKey(V2)
  const fetching = new CallbackVerifier({ fetchKey })
  const verifying = [1, 2].map(() => fetching.verifySignature('POST', '/echo', request.headers, request.body))
  await Promise.all(verifying)
  assert.deepEqual(asked, [V2])
  const failing = new CallbackVerifier({ fetchKey: () => Promise.reject(new Error('no route')) })
  const error = await rejection(failing.verifySignature('POST', '/echo', request.headers, request.body))
  assert.deepEqual([error.reason, error.cause.message], ['key_unavailable', 'no route'])
})

test('a_seal_is_judged_at_the_moment_that_is_given', async () => {
  const { method, target, headers, body } = await received(callback('/echo', { seal: ONE_MINUTE }))
  let asked = 0
  const verifier = trusting({ sealSecret: SECRET, firstUse: () => Boolean((asked += 1)) })
  const at = (now) => verifier.verify(method, target, headers, body, { now })
  for (const now of [undefined, new Date(), Date.now() / 1000 + 30]) {
    assert.equal((await at(now)).bucket, BUCKET)
  }
  assert.equal(asked, 3)
  assert.equal((await rejection(at(new Date(Date.now() + 120_000)))).reason, 'seal_expired')
  assert.equal(asked, 3)
  for (const now of ['2030-01-01', new Date(NaN)]) {
    assert.equal((await rejection(at(now))).field, 'now')
  }
  const wrong = verifier.verify(method, target, headers, body, { time: new Date() })
  assert.equal((await rejection(wrong)).field, 'time')
  assert.equal((await rejection(verifier.verify(method, target, headers, body, 5))).field, 'options')
  // An upload of which the seal has expired by now.
  const old = callback('/echo', { seal: ONE_MINUTE }).sealedFor(BUCKET, 'k', { time: new Date(Date.now() - 120_000) })
  const late = await received(old, 'k')
  assert.equal(await reason(verifier, late), 'seal_expired')
  const then = { now: new Date(Date.now() - 100_000) }
  assert.equal((await verifier.verify('POST', '/echo', late.headers, late.body, then)).key, 'k')
})

test('events_are_understood_from_bodies_without_verifying', () => {
  const body = '{"file":"a/猫.jpg","meta":{"bytes":3,"none":null},"image":{"w":8},"who":"me"}'
  const template =
    '{"file":${object},"meta":{"bytes":${size},"none":null},"image":{"w":${imageInfo.width}},"who":${x:user}}'
  const event = CallbackEvent.parse(Buffer.from(body), 'json', template)
  assert.ok(event instanceof CallbackEvent)
  assert.deepEqual([event.key, event.size, event.image.width], ['a/猫.jpg', 3, 8])
  assert.deepEqual({ ...event.variables }, { user: 'me' })
  assert.equal(CallbackEvent.parse(new TextEncoder().encode('object=k&order=42'), 'form').variables.order, '42')
  for (const given of ['a=${nonsense}', 5]) {
    const error = thrown(() => CallbackEvent.parse(Buffer.from('a=b'), 'form', given))
    assert.ok(error instanceof InvalidArgumentError && error.field === 'template', String(error))
  }
  assert.equal(thrown(() => CallbackEvent.parse(Buffer.from('a=b'), 'xml')).field, 'bodyType')
  assert.equal(thrown(() => CallbackEvent.parse(Buffer.from('a=b'))).field, 'bodyType')
  assert.equal(thrown(() => CallbackEvent.parse('a=b', 'form')).field, 'body')
  const twice = thrown(() => CallbackEvent.parse(Buffer.from('object=a&object=b'), 'form'))
  assert.deepEqual([twice.constructor, twice.reason], [VerificationError, 'malformed_body'])
})

test('a_key_that_cannot_be_fetched_is_told', async () => {
  // Nobody listens at the proxy's port.
  const before = process.env.HTTPS_PROXY
  process.env.HTTPS_PROXY = at.DEAD_ENDPOINT
  try {
    const request = await byKey(V2)
    const verifier = new CallbackVerifier()
    const both = await Promise.all([reason(verifier, request), reason(verifier, request)])
    assert.deepEqual(both, ['key_unavailable', 'key_unavailable'])
  } finally {
    if (before === undefined) {
      delete process.env.HTTPS_PROXY
    } else {
      process.env.HTTPS_PROXY = before
    }
  }
})

test('a_signed_url_carries_its_seal', async () => {
  const body = 'where=${bucket}&what=${object}&order=${x:order}&proof=${x:seal}'
  const general = callback('/echo', { body, vars: { order: '42' }, seal: ONE_MINUTE })
  const sealed = general.sealedFor(BUCKET, 'signed.txt')
  assert.ok(!sealed.isToBeSealed && sealed.vars['x:seal'])
  assert.notEqual(general.sealedFor(BUCKET, 'signed.txt').vars['x:seal'], sealed.vars['x:seal'])
  const signer = new Signer(at.OSS_ACCESS_KEY_ID, at.OSS_ACCESS_KEY_SECRET, { region: at.OSS_REGION })
  const { url } = signer.presign('PUT', {
    bucket: BUCKET,
    key: 'signed.txt',
    endpoint: at.OSS_ENDPOINT,
    query: { callback: sealed.encoded, 'callback-var': sealed.encodedVars },
    expiresInMs: 60_000,
  })
  const answer = await fetch(url, { method: 'PUT', body: Buffer.from('from a browser') })
  assert.equal(answer.status, 200)
  const seen = await answer.json()
  const request = { ...seen, body: Buffer.from(seen.body) }
  const event = await verify(trusting({ sealSecret: SECRET, callback: general }), request)
  assert.deepEqual([event.key, event.variables.order], ['signed.txt', '42'])
  const old = general.sealedFor(BUCKET, 'k', { time: new Date(Date.now() - 120_000) })
  assert.equal(
    await reason(trusting({ sealSecret: SECRET, callback: general }), await received(old, 'k')),
    'seal_expired',
  )
  assert.equal(thrown(() => general.sealedFor(BUCKET, '')).field, 'key')
  const unsealed = callback()
  assert.equal(unsealed.sealedFor(BUCKET, 'k').encoded, unsealed.encoded)
})

test('a_check_is_not_switched_off_by_accident', () => {
  for (const [options, field] of [
    [{ sealSecret: undefined }, 'sealSecret'],
    [{ sealSecret: [] }, 'sealSecret'],
    [{ sealSecret: 'short' }, 'sealSecret'],
    [{ bucket: undefined }, 'bucket'],
    [{ bucket: [] }, 'bucket'],
    [{ sealSecret: SECRET, firstUse: undefined }, 'firstUse'],
    [{ firstUse: () => true }, 'firstUse'],
    [{ sealSecret: SECRET, firstUse: true }, 'firstUse'],
    [{ fetchKey: 'k' }, 'fetchKey'],
    [{ officialKeys: false }, 'officialKeys'],
    [{ trustedKeys: 'no key' }, 'trustedKeys'],
    [{ trustedKeys: [] }, 'trustedKeys'],
    [{ templateType: 'json' }, 'templateType'],
    [{ callback: 'https://a.example' }, 'callback'],
    [{ sealsecret: SECRET }, 'sealsecret'],
    [null, 'options'],
  ]) {
    const error = thrown(() => new CallbackVerifier(options))
    assert.ok(error instanceof InvalidArgumentError, String(error))
    assert.equal(error.field, field, error.message)
    assert.ok(!error.message.includes('short') && !error.message.includes(SECRET))
  }
  assert.match(thrown(() => new CallbackVerifier({ sealsecret: SECRET })).message, /`sealSecret`/)
  for (const seal of [
    undefined,
    null,
    SECRET,
    { secret: SECRET },
    { secret: undefined, expiresInMs: 1000 },
  ]) {
    assert.equal(thrown(() => callback('/ok', { seal })).field, 'callback.seal')
  }
  assert.equal(
    thrown(() => callback('/ok', { seal: { secret: SECRET, expiresInMs: 10 } })).field,
    'callback.seal',
  )
  assert.match(
    thrown(() => callback('/ok', { seal: { secret: SECRET, expiresIn: 10 } })).message,
    /expiresInMs/,
  )
})

test('whoever_reads_a_body_is_told_its_bounds', () => {
  const bounds = ({ maxBody, bodyTimeoutMs }) => [maxBody, bodyTimeoutMs]
  assert.deepEqual(bounds(new CallbackVerifier()), [2 ** 20, 5000])
  assert.deepEqual(bounds(new CallbackVerifier({ maxBody: 7, bodyTimeoutMs: 1001 })), [7, 1001])
  for (const bodyTimeoutMs of [0, -1, Infinity, 400 * 24 * 3600 * 1000, '5s']) {
    const error = thrown(() => new CallbackVerifier({ bodyTimeoutMs }))
    assert.ok(error instanceof InvalidArgumentError, String(error))
    assert.equal(error.field, 'bodyTimeoutMs')
  }
})

test('verifiers_and_fetches_are_freed', async () => {
  const request = await byKey(V2)
  await (async () => {
    for (let round = 0; round < 20; round += 1) {
      await verify(new CallbackVerifier({ fetchKey: () => publicKey }), request)
      await rejection(verify(new CallbackVerifier({ fetchKey: () => 'rubbish' }), request))
      callback('/ok', { seal: ONE_MINUTE }).sealedFor(BUCKET, 'k')
    }
  })()
  assert.equal(await liveHandles(), 0)
})

test('a_usual_request_is_verified_at_once', async () => {
  const request = await received(callback('/echo'))
  const verifier = trusting()
  let settled = false
  verify(verifier, request).then(() => (settled = true))
  // Microtasks alone: neither a thread nor a turn of the event loop.
  for (let step = 0; step < 20; step += 1) {
    await null
  }
  assert.ok(settled)
})
