// The golden vectors through Node's Signer and Callback.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import {
  Callback,
  CallbackVerifier,
  InvalidArgumentError,
  Signer,
  VerificationError,
} from '../../node/index.mjs'
import { ROOT } from './bed.mjs'

function vectors(family) {
  const file = JSON.parse(readFileSync(path.join(ROOT, `tests/vectors/${family}.json`), 'utf8'))
  assert.equal(file.vectors.length, file.count)
  return file.vectors
}

/** Those that must be met, less the one that gives the day's key in place of a secret. */
function hard(family) {
  const isHard = ({ status, case: name, credentials }) =>
    ['consensus', 'official-document', 'single-sdk'].includes(status) &&
    !name.startsWith('rep-') &&
    credentials.signing_key_hex === undefined
  return vectors(family).filter(isHard)
}

function signer({ credentials, region, product }, version) {
  const { access_key_id: id, access_key_secret: secret, security_token: token } = credentials
  return new Signer(id, secret, {
    securityToken: token ?? undefined,
    version,
    ...(version === 'v4' ? { region, product } : {}),
  })
}

function asked({ request, time }) {
  const { query, headers, additional_headers: additionalHeaders } = request
  const [bucket, key] = [request.bucket ?? undefined, request.key ?? undefined]
  // Both ways to give a time are promised.
  const when = (key?.length ?? 0) % 2 === 0 ? time.unix : new Date(time.unix * 1000)
  return { bucket, key, query, headers, additionalHeaders, time: when }
}

/** V4's Authorization: SDKs separate and order the fields differently. */
function fields(authorization) {
  const rest = authorization.slice(authorization.indexOf(' '))
  return Object.fromEntries(rest.split(',').map((field) => field.trim().split(/=(.*)/s, 2)))
}

const lower = (entries) => Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), value]))

function checkHeader(vector, version) {
  const { expected, request } = vector
  const { Authorization: ours, ...added } = signer(vector, version).sign(request.method, asked(vector))
  if (version === 'v4') {
    assert.deepEqual(fields(ours), fields(expected.authorization))
  } else {
    assert.equal(ours, expected.authorization)
  }
  assert.deepEqual(lower(Object.entries(added)), lower(expected.signer_added_headers))
}

function checkUrl(vector, version) {
  const { expected, request } = vector
  const presigned = signer(vector, version).presign(request.method, {
    ...asked(vector),
    endpoint: `${request.scheme}://${request.endpoint}`,
    addressing: request.addressing,
    expiresInMs: vector.expires_seconds * 1000,
  })
  const url = new URL(presigned.url)
  assert.equal(url.href, presigned.url)
  const wanted = expected.query_pairs_decoded.map(([name, value]) => [name, value ?? ''])
  assert.deepEqual([...url.searchParams].sort(), wanted.sort())
  if (expected.url !== undefined) {
    const theirs = new URL(expected.url)
    assert.equal(url.origin, theirs.origin)
    assert.equal(decodeURIComponent(url.pathname), decodeURIComponent(theirs.pathname))
  }
}

test('signing_vectors_pass', () => {
  const checked = {}
  for (const [family, check] of [
    ['v1_header', checkHeader],
    ['v4_header', checkHeader],
    ['v1_presign', checkUrl],
    ['v4_presign', checkUrl],
  ]) {
    for (const vector of hard(family)) {
      try {
        check(vector, family.slice(0, 2))
      } catch (cause) {
        throw new Error(`${vector.id}: ${cause.message}`, { cause })
      }
      checked[family] = (checked[family] ?? 0) + 1
    }
  }
  for (const vector of vectors('post_policy')) {
    const signing = signer(vector, vector.signature_version)
    const ours = signing.signPolicy(vector.policy_text, { time: vector.time.unix })
    assert.deepEqual(ours, vector.expected.form_fields, vector.id)
    const demanded = Object.entries(signing.policyConditions({ time: vector.time.unix }))
    assert.ok(demanded.every(([name, value]) => ours[name] === value))
  }
  assert.deepEqual(checked, { v1_header: 123, v4_header: 75, v1_presign: 42, v4_presign: 41 })
})

const BODY_TYPES = { 'application/x-www-form-urlencoded': 'form', 'application/json': 'json' }

function built(callback, vars) {
  const { callbackUrl, callbackBody, callbackHost, callbackSNI, callbackBodyType } = callback
  const options = {
    body: callbackBody,
    host: callbackHost,
    sni: callbackSNI ?? (callback.callbackPolicy === undefined ? false : undefined),
    headers: callback.additionalHeaders,
    policy: callback.callbackPolicy,
    bodyType: BODY_TYPES[callbackBodyType] ?? callbackBodyType,
    vars,
  }
  // A value that JSON has as null is not given.
  return new Callback(
    callbackUrl,
    Object.fromEntries(Object.entries(options).filter(([, value]) => value != null)),
  )
}

function fromAliOss({ url, body, host, contentType, callbackSNI, customValue }) {
  const callback = {
    callbackUrl: url,
    callbackBody: body,
    callbackHost: host,
    callbackBodyType: contentType,
    callbackSNI,
  }
  const text = (value) => (typeof value === 'string' ? value : JSON.stringify(value))
  return [
    callback,
    Object.fromEntries(Object.entries(customValue ?? {}).map(([name, value]) => [name, text(value)])),
  ]
}

const decoded = (text) =>
  text === undefined ? undefined : JSON.parse(Buffer.from(text, 'base64').toString())

// Where an SDK's way is not ours: tests/rust/tests/all/callback_vectors.rs says what we do instead.
const QUIRKS = [
  'ali-oss-url-space',
  'ali-oss-url-unicode',
  'ali-oss-url-already-encoded',
  'ali-oss-url-reserved',
  'ali-oss-var-prefixed-key',
]

test('callback_vectors_pass', () => {
  let equal = 0
  for (const { id, sdk_input: given, expected } of vectors('callback_encoding')) {
    if (QUIRKS.includes(id)) {
      continue
    }
    const [callback, vars] = given.callback ? [given.callback, given.callback_var ?? {}] : fromAliOss(given)
    const ours = built(callback, vars)
    const theirs = { ...expected.callback_json }
    if (theirs.callbackSNI === false) {
      // What OSS takes as the default is left out.
      delete theirs.callbackSNI
    }
    assert.deepEqual(decoded(ours.encoded), theirs, id)
    assert.deepEqual(decoded(ours.encodedVars), expected.callback_var_json ?? undefined, id)
    assert.deepEqual(JSON.parse(ours.json), theirs)
    equal += 1
  }
  assert.equal(equal, 15)
  assert.deepEqual(validity(), { accepted: 6, refused: 6, 'refused by type': 3 })
})

// Only a running OSS can tell the first two; the others do not concern one callback by itself.
const BEYOND = [
  'url-localhost',
  'url-private',
  'both-header-and-query',
  'var-both-header-and-query',
  'not-base64',
  'var-too-long',
  'var-not-json',
]

function validity() {
  const verdicts = { accepted: 0, refused: 0, 'refused by type': 0 }
  for (const vector of vectors('callback_validity')) {
    const { id, expected, callback_json_text: callback, callback_var_json_text: vars } = vector
    if (BEYOND.includes(id) || callback === undefined) {
      continue
    }
    const make = () => built(JSON.parse(callback), JSON.parse(vars ?? '{}'))
    if (expected.valid) {
      make()
      verdicts.accepted += 1
      continue
    }
    assert.throws(make, (error) => {
      assert.ok(error instanceof InvalidArgumentError, id)
      if (/must be (a string|one of)|is not one of/.test(error.message)) {
        verdicts['refused by type'] += 1
      } else {
        assert.equal(error.ec, expected.ec ?? undefined, `${id}: ${error.message}`)
        verdicts.refused += 1
      }
      return true
    })
  }
  return verdicts
}

const REASONS = {
  ok: undefined,
  'pub-key-url-not-allowed': 'key_url_refused',
  'missing-pub-key-url': 'missing_key_url',
  'bad-authorization': 'bad_authorization',
  'signature-mismatch': 'wrong_signature',
}

/** Every key is served, also under a refused URL; what was asked for is told. */
async function judged({ request, served_public_keys: served }) {
  const asked = []
  const fetchKey = async (url) => {
    asked.push(url)
    const key = served.find((one) => one.url.replace('http:', 'https:') === url)
    return key?.pem ?? Promise.reject(new Error('404'))
  }
  const verifier = new CallbackVerifier({ fetchKey })
  const body = Buffer.from(request.body_base64, 'base64')
  try {
    await verifier.verify(request.method, request.request_target, request.headers, body)
    return { asked, reason: undefined }
  } catch (error) {
    assert.ok(error instanceof VerificationError, String(error))
    return { asked, reason: error.reason }
  }
}

test('verify_vectors_pass', async () => {
  let accepted = 0
  const all = vectors('callback_verify')
  for (const vector of all) {
    const { asked, reason } = await judged(vector)
    assert.ok(vector.expected.reason in REASONS, vector.expected.reason)
    // Where OSS's samples contradict each other we refuse what no honest key URL holds.
    const dotted = vector.id === 'key-url-dotdot-after-prefix'
    assert.equal(reason, dotted ? 'key_url_refused' : REASONS[vector.expected.reason], vector.id)
    if (reason === undefined) {
      accepted += 1
      assert.equal(asked.length, 1, vector.id)
    }
    if (reason === 'key_url_refused') {
      assert.deepEqual(asked, [], vector.id)
    }
  }
  assert.ok(accepted > 10 && accepted < all.length, `${accepted} of ${all.length}`)
  const real = all.filter(({ origin }) => origin.startsWith('real'))
  assert.ok(real.length > 0)
  const verifier = new CallbackVerifier()
  for (const { request } of real) {
    const body = Buffer.from(request.body_base64, 'base64')
    await verifier.verify(request.method, request.request_target, request.headers, body)
  }
})
