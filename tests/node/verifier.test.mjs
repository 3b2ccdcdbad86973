// The verifier beyond the scenarios: what it takes, what it refuses to be made of, and the event loop.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CallbackVerifier, InvalidArgumentError, Signer } from '../../node/index.mjs'
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
    expiresIn: 60,
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
