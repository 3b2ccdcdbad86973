'use strict'

// The face of the package: it turns arguments into the addon's form and failures into exceptions. What
// OSS wants is the core's to know. Documentation: index.d.ts.

const { reply, refusal, failure } = require('./lib/answer.js')
const { flat, fromFlat, linesOf, moment, timed, isPlain } = require('./lib/arguments.js')
const { Callback, nativeCallback } = require('./lib/callback.js')
const { classes, take, invalid } = require('./lib/errors.js')
const native = require('./lib/native.js')

const { InvalidArgumentError } = classes

// Loaded with their first use, as a program that does one thing need not wait for the rest.
const calls = once(() => require('./lib/calls.js'))
const credentials = once(() => require('./lib/credentials.js'))
const signals = once(() => require('./lib/signals.js'))
const sources = once(() => require('./lib/sources.js'))
const uploads = once(() => require('./lib/uploads.js'))
const verifying = once(() => require('./lib/verifier.js'))

/** Asking Node each time would cost as much as a small part of an upload. */
function once(load) {
  let loaded
  return () => (loaded ??= load())
}

class Client {
  #native
  #provider

  constructor(options = {}) {
    if (!isPlain(options)) {
      throw invalid('options', 'must be an object of options')
    }
    const { credentialsProvider, ...rest } = options
    this.#provider = credentialsProvider === undefined ? undefined : new (credentials().Provider)(credentialsProvider)
    this.#native = take(native.clientNew(calls().channel, flat('options', rest), this.#provider?.number))
  }

  async putObjectWithCallback(bucket, key, data, callback, options = {}) {
    return this.#send('data', uploads().put, bucket, key, data, callback, options)
  }

  async uploadFileWithCallback(bucket, key, source, callback, options = {}) {
    return this.#send('source', uploads().upload, bucket, key, source, callback, options)
  }

  /** However it ends, the source is done with: also when it was never begun. */
  async #send(field, way, bucket, key, data, callback, options) {
    if (!isPlain(options)) {
      throw invalid('options', 'must be an object of options')
    }
    const { length, ...others } = options
    const source = sources().sourceOf(field, data, length)
    try {
      const given = nativeCallback(callback)
      const outcome = await way(this, this.#native, [bucket, key], source, given, others)
      const causeOf = (kind, message) => source.causeOf(kind) ?? this.#provider?.causeOf(kind, message)
      return new CallbackReply(take(outcome, causeOf))
    } finally {
      source.close()
    }
  }

  async confirm(event, options = {}) {
    if (!isPlain(options)) {
      throw invalid('options', 'must be an object of options')
    }
    const { signal = null, ...rest } = options
    if (Object.keys(rest).length > 0) {
      throw invalid(Object.keys(rest)[0], 'is not an option of confirm', 'There is but `signal`.')
    }
    const claims = verifying().claims(event)
    const outcome = await signals().abortable(signal, (cancel) =>
      calls().call(this, (channel, number) =>
        take(native.clientConfirm(channel, number, this.#native, claims, cancel)),
      ),
    )
    const causeOf = (kind, message) => this.#provider?.causeOf(kind, message)
    const { lastModified, ...found } = take(outcome, causeOf)
    return { ...found, lastModified: lastModified === undefined ? undefined : new Date(lastModified) }
  }

  get region() {
    return native.clientFacts(this.#native).region
  }

  get endpoint() {
    return native.clientFacts(this.#native).endpoint
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

class Signer {
  #native

  constructor(accessKeyId, accessKeySecret, options) {
    this.#native = take(native.signerNew(accessKeyId, accessKeySecret, flat('options', options)))
  }

  sign(method, request) {
    const lines = linesOf(method, request)
    const signed = lines && native.signerSignLines(this.#native, lines, moment(request.time))
    if (signed !== undefined) {
      return fromFlat(take(signed).split('\n'))
    }
    return fromFlat(take(native.signerSign(this.#native, method, timed('request', request))))
  }

  presign(method, request) {
    const presigned = take(native.signerPresign(this.#native, method, timed('request', request)))
    return { ...presigned, headers: fromFlat(presigned.headers) }
  }

  policyConditions(options) {
    return fromFlat(take(native.signerPolicyConditions(this.#native, timed('options', options))))
  }

  signPolicy(policyJson, options) {
    return fromFlat(take(native.signerSignPolicy(this.#native, policyJson, timed('options', options))))
  }

  get version() {
    return take(native.signerFacts(this.#native)).version
  }

  get region() {
    return take(native.signerFacts(this.#native)).region
  }
}

module.exports = {
  Client,
  Callback,
  CallbackReply,
  Signer,
  get CallbackVerifier() {
    return verifying().CallbackVerifier
  },
  get CallbackEvent() {
    return verifying().CallbackEvent
  },
  reply,
  refusal,
  failure,
  ...classes,
}
