'use strict'

// Who sent a callback request, and what it says. The core decides; here are the functions of the user's that
// it may have to wait for. Documentation: receive.d.ts.

const { clearTimeout, setTimeout } = require('node:timers')
const { isAnyArrayBuffer, isUint8Array } = require('node:util/types')
const { bytes, flat, isPlain, moment, typeName } = require('./arguments.js')
const { nativeCallback } = require('./callback.js')
const { call } = require('./calls.js')
const { invalid, take, textOf } = require('./errors.js')
const native = require('./native.js')

/** OSS itself waits 5 s for the answer to its callback. */
const LONGEST_FETCH_MS = 10_000

/** For adapters: whether it is a verifier, and its refusal of a body that is not read to its end. */
let isVerifier
let refuseSize

class CallbackVerifier {
  #native
  #fetchKey
  #firstUse
  /** The fetches under way, by the key's URL. */
  #fetches = new Map()

  constructor(options = {}) {
    if (!isPlain(options)) {
      throw invalid('options', 'must be an object of options')
    }
    refuseSwitchedOff(options)
    const { callback, fetchKey, firstUse, ...rest } = options
    this.#fetchKey = aFunction('fetchKey', fetchKey)
    this.#firstUse = aFunction('firstUse', firstUse)
    const list = flat('options', rest)
    const given = callback === undefined ? undefined : nativeCallback(callback)
    this.#native = take(native.verifierNew(list, given, fetchKey !== undefined, firstUse !== undefined))
  }

  get maxBody() {
    return native.verifierMaxBody(this.#native)
  }

  get bodyTimeoutMs() {
    return native.verifierBodyTimeoutMs(this.#native)
  }

  async verify(method, target, headers, body, options) {
    const request = requestOf(method, target, headers, body)
    const now = momentOf(options)
    const verified = await this.#withKeys(() => native.verifierVerify(this.#native, request, now))
    const event = new CallbackEvent(fromNative(verified.event))
    if (this.#firstUse !== undefined) {
      await this.#askFirstUse(event.seal)
    }
    return event
  }

  async verifySignature(method, target, headers, body) {
    const request = requestOf(method, target, headers, body)
    await this.#withKeys(() => native.verifierVerifySignature(this.#native, request))
  }

  async #withKeys(verify) {
    for (;;) {
      const verified = take(verify())
      if (verified.keyUrl === undefined) {
        return verified
      }
      // Each round fetches a key, or fails: the core bounds how many are fetched.
      await this.#await(verified)
    }
  }

  static {
    isVerifier = (value) => typeof value === 'object' && value !== null && #native in value
    refuseSize = (verifier) => take(native.verifierBodyTooLarge(verifier.#native))
  }

  async #askFirstUse({ nonce, expiresAt }) {
    const first = await this.#firstUse(nonce, expiresAt)
    if (typeof first !== 'boolean') {
      throw invalid('firstUse', `must give true or false, but gave ${typeName(first)}`)
    }
    if (!first) {
      take(native.sealReplayed())
    }
  }

  async #await({ keyUrl, fetch }) {
    if (fetch === undefined) {
      // Whoever fetches it tells of a failure; here, verifying again does.
      await this.#fetches.get(keyUrl)
      return
    }
    const fetching = this.#fetch(keyUrl, fetch)
    this.#fetches.set(
      keyUrl,
      fetching.catch(() => {}),
    )
    try {
      await fetching
    } finally {
      this.#fetches.delete(keyUrl)
    }
  }

  async #fetch(url, fetch) {
    if (this.#fetchKey === undefined) {
      take(await call(this, (channel, number) => take(native.keyFetchRun(channel, number, fetch))))
      return
    }
    let answer
    let causeOf
    try {
      answer = pemBytes(await within(LONGEST_FETCH_MS, this.#fetchKey(url)))
    } catch (error) {
      answer = textOf(error)
      causeOf = () => error
    }
    take(native.keyFetchLand(fetch, answer), causeOf)
  }
}

const LEAVE_IT_OUT = 'Leave the option out if that is meant.'

/** What is missing by accident, such as a variable of the environment, must not switch a check off. */
function refuseSwitchedOff(options) {
  for (const name of ['sealSecret', 'bucket', 'firstUse']) {
    if (name in options && options[name] === undefined) {
      throw invalid(name, 'is undefined, which would switch the check off', LEAVE_IT_OUT)
    }
  }
}

function requestOf(method, target, headers, body) {
  return {
    method: aText('method', method),
    target: aText('target', target),
    headers: headerList(headers),
    body: rawBytes(body),
  }
}

/** The moment of a verification, if it is not to be the present one. */
function momentOf(options = {}) {
  if (!isPlain(options)) {
    throw invalid('options', 'must be an object of options')
  }
  const { now, ...rest } = options
  const [other] = Object.keys(rest)
  if (other !== undefined) {
    throw invalid(other, 'is not an option of verify', 'There is but `now`.')
  }
  return moment(now)
}

function aFunction(field, value) {
  if (value !== undefined && typeof value !== 'function') {
    throw invalid(field, `must be a function, but is ${typeName(value)}`)
  }
  return value
}

function aText(field, value) {
  if (typeof value !== 'string') {
    throw invalid(field, `must be a string, but is ${typeName(value)}`)
  }
  return value
}

/** Headers in any of their forms as `[name, value, name, value, …]`. */
function headerList(headers) {
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    // As Node's `rawHeaders`.
    if (headers.length % 2 !== 0) {
      throw invalid('headers', 'must hold a value for each name')
    }
    return headers.map((text) => aText('headers', text))
  }
  const list = []
  for (const [name, value] of headerPairs(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) {
        list.push(aText('headers', name), aText(`headers[${JSON.stringify(name)}]`, one))
      }
    }
  }
  return list
}

function headerPairs(headers) {
  if (typeof headers?.[Symbol.iterator] === 'function' && typeof headers !== 'string') {
    return headers
  }
  if (typeof headers === 'object' && headers !== null) {
    return Object.entries(headers)
  }
  throw invalid('headers', `must be the request's headers, but is ${typeName(headers)}`)
}

function rawBytes(body) {
  if (ArrayBuffer.isView(body) || isAnyArrayBuffer(body)) {
    return bytes('body', body)
  }
  const hint =
    typeof body === 'string'
      ? 'Text was decoded, and may be other bytes again: take the request’s body as a Buffer.'
      : 'OSS signs the bytes: take them before a body parser does.'
  throw invalid('body', `must be the raw bytes of the body, but is ${typeName(body)}`, hint)
}

function pemBytes(pem) {
  if (typeof pem === 'string') {
    return Buffer.from(pem, 'utf8')
  }
  if (isUint8Array(pem)) {
    return pem
  }
  throw invalid('fetchKey', `must give the PEM as a Buffer or text, but gave ${typeName(pem)}`)
}

function within(ms, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`fetchKey took longer than ${ms / 1000} s`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

class CallbackEvent {
  constructor({ image = {}, variables = {}, fields = [], notNumbers = {}, seal, ...told }) {
    this.bucket = told.bucket
    this.key = told.key
    this.etag = told.etag
    this.size = told.size
    this.mimeType = told.mimeType
    this.crc64 = told.crc64
    this.contentMd5 = told.contentMd5
    this.image = Object.freeze({ width: image.width, height: image.height, format: image.format })
    this.clientIp = told.clientIp
    this.vpcId = told.vpcId
    this.requestId = told.requestId
    this.operation = told.operation
    this.variables = frozenTexts(variables)
    this.notNumbers = frozenTexts(notNumbers)
    this.fields = Object.freeze(fields.map(({ name, text, kind }) => Object.freeze({ name, text, kind })))
    this.seal = seal === undefined ? undefined : Object.freeze({ ...seal })
    Object.freeze(this)
  }

  static parse(body, bodyType, template) {
    return new CallbackEvent(fromNative(take(native.eventParse(rawBytes(body), bodyType, template))))
  }
}

/** Without a prototype: a stranger may have chosen the names. */
function frozenTexts(texts) {
  return Object.freeze(Object.assign(Object.create(null), texts))
}

function fromNative({ variables, notNumbers, fields, seal, ...told }) {
  const list = []
  for (let index = 0; index < fields.length; index += 3) {
    list.push({ name: fields[index], text: fields[index + 1], kind: fields[index + 2] })
  }
  return {
    ...told,
    variables: texts(variables),
    notNumbers: texts(notNumbers),
    fields: list,
    seal: seal && { nonce: seal.nonce, expiresAt: new Date(seal.expiresAt) },
  }
}

function texts(list) {
  const object = Object.create(null)
  for (let index = 0; index < list.length; index += 2) {
    object[list[index]] = list[index + 1]
  }
  return object
}

/** What OSS is asked to confirm of an event: `[name, text, name, text, …]`, by OSS's names. */
function claims(event) {
  if (typeof event !== 'object' || event === null) {
    throw invalid('event', `must be a CallbackEvent, but is ${typeName(event)}`)
  }
  const { bucket, key: object, etag, notNumbers = {} } = event
  const { size = notNumbers.size, crc64 = notNumbers.crc64 } = event
  const list = []
  for (const [name, value] of Object.entries({ bucket, object, etag, size, crc64 })) {
    if (value !== undefined) {
      list.push(name, claimed(value))
    }
  }
  return list
}

/** Numbers as text, of which the core says what is none. What was kept without a value is empty. */
function claimed(value) {
  if (value === null) {
    return ''
  }
  if (!['string', 'number', 'bigint', 'boolean'].includes(typeof value)) {
    throw invalid('event', `must hold texts and numbers, but holds ${typeName(value)}`)
  }
  return String(value)
}

module.exports = { CallbackEvent, CallbackVerifier, claims, isVerifier, refuseSize }
