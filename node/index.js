'use strict'

// The face of the package: it turns arguments into the addon's form and failures into exceptions. What
// OSS wants is the core's to know. Documentation: index.d.ts.

const { flat, pairs, moment, isPlain, typeName } = require('./lib/arguments.js')
const { channel } = require('./lib/calls.js')
const { Provider } = require('./lib/credentials.js')
const { classes, take, invalid } = require('./lib/errors.js')
const native = require('./lib/native.js')
const { sourceOf } = require('./lib/sources.js')
const { put, upload } = require('./lib/uploads.js')

const { InvalidArgumentError } = classes

class Client {
  #native
  #provider

  constructor(options = {}) {
    if (!isPlain(options)) {
      throw invalid('options', 'must be an object of options')
    }
    const { credentialsProvider, ...rest } = options
    this.#provider = credentialsProvider === undefined ? undefined : new Provider(credentialsProvider)
    this.#native = take(native.clientNew(channel, flat('options', rest), this.#provider?.number))
  }

  async putObjectWithCallback(bucket, key, data, callback, options = {}) {
    return this.#send('data', put, bucket, key, data, callback, options)
  }

  async uploadFileWithCallback(bucket, key, source, callback, options = {}) {
    return this.#send('source', upload, bucket, key, source, callback, options)
  }

  /** However it ends, the source is done with: also when it was never begun. */
  async #send(field, way, bucket, key, data, callback, options) {
    if (!isPlain(options)) {
      throw invalid('options', 'must be an object of options')
    }
    const { length, ...others } = options
    const source = sourceOf(field, data, length)
    try {
      const given = nativeCallback(callback)
      const outcome = await way(this, this.#native, [bucket, key], source, given, others)
      const causeOf = (kind, message) =>
        source.causeOf(kind) ?? this.#provider?.causeOf(kind, message)
      return new CallbackReply(take(outcome, causeOf))
    } finally {
      source.close()
    }
  }

  get region() {
    return take(native.clientFacts(this.#native)).region
  }

  get endpoint() {
    return take(native.clientFacts(this.#native)).endpoint
  }

  close() {
    native.clientClose(this.#native)
  }
}

// Newer than Node 20.0.
if (Symbol.dispose !== undefined) {
  Object.defineProperty(Client.prototype, Symbol.dispose, {
    value: Client.prototype.close,
    configurable: true,
    writable: true,
  })
}

class CallbackReply {
  constructor({ body, contentType, etag, crc64, versionId, requestId, serverTimeMs }) {
    this.body = body
    this.contentType = contentType
    this.etag = etag
    this.crc64 = crc64
    this.versionId = versionId
    this.requestId = requestId
    this.serverTimeMs = serverTimeMs
    Object.freeze(this)
  }

  get text() {
    return this.body.toString('utf8')
  }

  json() {
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.body))
    } catch (cause) {
      const message = `the callback body is not JSON: ${cause.message} (the upload itself succeeded)`
      throw new InvalidArgumentError(message, { stored: true, etag: this.etag, cause })
    }
  }
}

/** The addon's part of a Callback, for Client alone. */
let nativeOf

class Callback {
  #native
  #facts

  constructor(url, options) {
    const urls = url === undefined || url === null ? [] : Array.isArray(url) ? url : [url]
    this.#native = take(native.callbackNew(urls, flat('callback', options)))
  }

  static {
    nativeOf = (value) =>
      typeof value === 'object' && value !== null && #native in value ? value.#native : undefined
  }

  get #told() {
    this.#facts ??= take(native.callbackFacts(this.#native))
    return this.#facts
  }

  get encoded() {
    return this.#told.encoded
  }

  get encodedVars() {
    return this.#told.encodedVars
  }

  get json() {
    return this.#told.json
  }

  get varsJson() {
    return this.#told.varsJson
  }

  get urls() {
    return [...this.#told.urls]
  }

  get body() {
    return this.#told.body
  }

  get bodyType() {
    return this.#told.bodyType
  }

  get host() {
    return this.#told.host
  }

  get sni() {
    return this.#told.sni
  }

  get headers() {
    return fromFlat(this.#told.headers)
  }

  get vars() {
    return fromFlat(this.#told.vars)
  }

  get policy() {
    return this.#told.policy
  }

  get warnings() {
    return [...this.#told.warnings]
  }

  preview(values = {}) {
    const list = pairs(values)
    // The core reads every value from text, and says which ones must be numbers.
    const texts = Array.isArray(list) ? list.map(([name, value]) => [name, asText(value)]) : list
    return take(native.callbackPreview(this.#native, texts))
  }
}

/** The addon's part of a Callback, or of one that is made from a plain object. */
function nativeCallback(callback) {
  const given = nativeOf(callback)
  if (given !== undefined) {
    return given
  }
  if (isPlain(callback)) {
    const { url, ...options } = callback
    return nativeOf(new Callback(url, options))
  }
  const hint = typeof callback === 'string' ? 'Wrap the URL: `new Callback(url)`.' : undefined
  throw invalid(
    'callback',
    `must be a Callback or an object with \`url\`, but is ${typeName(callback)}`,
    hint,
  )
}

class Signer {
  #native

  constructor(accessKeyId, accessKeySecret, options) {
    this.#native = take(native.signerNew(accessKeyId, accessKeySecret, flat('options', options)))
  }

  sign(method, request) {
    return fromFlat(take(native.signerSign(this.#native, method, timed(request))))
  }

  presign(method, request) {
    const presigned = take(native.signerPresign(this.#native, method, timed(request)))
    return { ...presigned, headers: fromFlat(presigned.headers) }
  }

  policyConditions(options) {
    return fromFlat(take(native.signerPolicyConditions(this.#native, timed(options))))
  }

  signPolicy(policyJson, options) {
    return fromFlat(take(native.signerSignPolicy(this.#native, policyJson, timed(options))))
  }

  get version() {
    return take(native.signerFacts(this.#native)).version
  }

  get region() {
    return take(native.signerFacts(this.#native)).region
  }
}

function timed(request) {
  return flat('request', request?.time === undefined ? request : { ...request, time: moment(request.time) })
}

function asText(value) {
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : value
}

function fromFlat(list) {
  const object = {}
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index]
    if (name === '__proto__') {
      Object.defineProperty(object, name, { value: list[index + 1], enumerable: true })
    } else {
      object[name] = list[index + 1]
    }
  }
  return object
}

module.exports = { Client, Callback, CallbackReply, Signer, ...classes }
