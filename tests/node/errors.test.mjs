// What errors and types are made of, held against api/*.toml by way of the addon and the generated types.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import * as esm from '../../node/index.mjs'
import cjs from '../../node/index.js'
import errors from '../../node/lib/errors.js'
import native from '../../node/lib/native.js'
import { BUCKET, callback, client, DATA, rejection, ROOT, thrown } from './bed.mjs'

const TYPES = readFileSync(path.join(ROOT, 'node/generated.d.ts'), 'utf8')

/** The properties of an interface in the generated types. */
function properties(name) {
  const [, body] = new RegExp(`export interface ${name}[^{]* \\{\n(.*?)\n\\}`, 's').exec(TYPES)
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, property]) => property)
}

test('the_types_list_every_option_and_fact_by_the_name_that_is_accepted', () => {
  const { options, facts } = native.lists()
  assert.deepEqual(properties('ClientOptions'), options.client)
  assert.deepEqual(properties('PutOptions'), options.put)
  assert.deepEqual([...options.put, ...properties('UploadOptions')], options.upload)
  assert.deepEqual(properties('CallbackOptions'), options.callback)
  assert.deepEqual(properties('ErrorFacts'), facts)
})

test('every_kind_has_its_class_and_code', () => {
  const { kinds } = native.lists()
  const classes = Object.values(errors.classes).filter(
    (type) => Object.hasOwn(type, 'kind') || type.name === 'BugError',
  )
  assert.deepEqual(new Set(classes.map((type) => type.kind)), new Set(kinds))
  for (const [name, type] of Object.entries(errors.classes)) {
    const error = new type('what went wrong', { hint: 'a hint', cause: 'why' })
    assert.ok(error instanceof esm.OssCallbackError && error instanceof Error)
    assert.equal(error.name, name)
    assert.equal(error.code, `ERR_OSS_${error.kind.toUpperCase()}`)
    assert.equal(error.cause, 'why')
    assert.equal(error.hint, 'a hint')
    assert.ok(error.stack.startsWith(`${name}: what went wrong\n`))
    assert.ok(inspect(error).includes(error.code))
    if (type !== errors.classes.OssCallbackError) {
      assert.ok(TYPES.includes(`export declare class ${name} extends`))
      assert.ok(TYPES.includes(`  readonly code: '${error.code}'`) || name === 'ServiceError')
    }
  }
})

test('both_module_systems_give_the_same_classes', () => {
  assert.deepEqual(Object.keys(esm).sort(), Object.keys(cjs).sort())
  for (const [name, value] of Object.entries(esm)) {
    assert.equal(value, cjs[name])
  }
})

test('replies_and_errors_can_be_made_by_hand', () => {
  const reply = new esm.CallbackReply({ body: Buffer.from('{"a":1}'), etag: 'E' })
  assert.deepEqual([reply.json(), reply.text, reply.etag, reply.crc64], [{ a: 1 }, '{"a":1}', 'E', undefined])
  const error = new esm.CallbackFailedError('no', { stored: true, callbackCause: 'timeout' })
  assert.deepEqual([error.stored, error.callbackCause, error.status], [true, 'timeout', undefined])
})

test('an_error_knows_who_called', async () => {
  async function theCaller() {
    await client().putObjectWithCallback(BUCKET, 'a', DATA, callback('/status/500'))
  }
  const error = await rejection(theCaller())
  assert.match(error.stack, /at async theCaller /)
})

test('an_error_keeps_what_caused_it', async () => {
  const error = thrown(() => new esm.Client({ region: 'cn-hangzhou', proxy: '::' }))
  assert.equal(error.field, 'proxy')
  const dead = client({ endpoint: 'http://127.0.0.1:1' })
  const refused = await rejection(dead.putObjectWithCallback(BUCKET, 'a', DATA, callback()))
  assert.ok(refused.retryable)
  assert.ok(refused.cause === undefined || refused.cause instanceof Error)
})

test('a_panic_does_not_pass_the_boundary', () => {
  const told = native.debugPanic()
  const error = thrown(() => errors.take(told))
  assert.ok(error instanceof esm.BugError)
  assert.equal(error.code, 'ERR_OSS_BUG')
  assert.match(error.message, /asked for by a test/)
})

test('hints_and_fields_speak_of_the_options_by_their_names_here', () => {
  const error = thrown(() => new esm.Client({ region: 'cn-hangzhou', accessKeyId: 'id' }))
  assert.ok(error instanceof esm.CredentialsError)
  assert.match(error.message, /accessKeySecret is missing\. accessKeyId and accessKeySecret go together/)
  assert.equal(thrown(() => client({ readTimeoutMs: 0 })).field, 'readTimeoutMs')
  const signer = new esm.Signer('id', 'secret', { region: 'cn-hangzhou' })
  const presign = (options) => thrown(() => signer.presign('GET', { bucket: BUCKET, key: 'a', ...options }))
  for (const expiresInMs of [0, 999, -1000, NaN, '1000', 604_801_000]) {
    assert.equal(presign({ expiresInMs }).field, 'expiresInMs')
  }
  assert.match(presign({ expiresInMs: 604_801_000 }).message, /^expiresInMs: must be at most 7 days/)
  assert.match(presign({ expiresIn: 60 }).message, /did you mean `expiresInMs`\?/)
  const request = { bucket: BUCKET, key: 'a', additionalHeaders: ['a b'] }
  assert.equal(thrown(() => signer.sign('GET', request)).field, 'additionalHeaders')
  assert.equal(thrown(() => signer.sign('GET', { time: new Date(NaN) })).field, 'time')
  assert.equal(presign({}).field, 'expiresInMs')
  const beside = thrown(() => new esm.Callback(null, { policy: 'p', bodyType: 'json' }))
  assert.match(beside.message, /`bodyType`/)
})

test('nothing_that_is_secret_is_shown', () => {
  const signer = new esm.Signer('id', 'the-secret', { region: 'cn-hangzhou', securityToken: 'the-token' })
  const shown = inspect([signer, client({ accessKeySecret: 'the-secret' })], { showHidden: true, depth: 9 })
  assert.ok(!/the-secret|the-token/.test(shown), shown)
})
