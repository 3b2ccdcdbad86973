'use strict'

// The face of the package: it turns arguments into the addon's form and failures into exceptions. What
// OSS wants is the core's to know. Documentation: index.d.ts.

const { reply, refusal } = require('./lib/answer.js')
const { flat, fromFlat, timed, bytes, isPlain, typeName } = require('./lib/arguments.js')
const { ask } = require('./lib/asked.js')
const { Callback, nativeCallback } = require('./lib/callback.js')
const { call } = require('./lib/calls.js')
const { classes, take, invalid } = require('./lib/errors.js')
const native = require('./lib/native.js')
const { CallbackEvent, CallbackVerifier, claims } = require('./lib/verifier.js')

const { InvalidArgumentError } = classes

class Client {
  #native

  constructor(options) {
    this.#native = take(native.clientNew(flat('options', options)))
  }

  async putObjectWithCallback(bucket, key, data, callback, options = {}) {
    if (!isPlain(options)) {
      throw invalid('options', 'must be an object of options')
    }
    const { signal = null, ...rest } = options
    const view = bytes(data)
    const given = nativeCallback(callback)
    const list = flat('options', rest)
    const start = (cancel) =>
      call((channel, number) =>
        take(native.clientPut(channel, number, this.#native, bucket, key, view, given, list, cancel)),
      )
    const outcome = signal === null ? await start() : await abortable(signal, start)
    return new CallbackReply(take(outcome))
  }

  async confirm(event, options = {}) {
    if (!isPlain(options)) {
      throw invalid('options', 'must be an object of options')
    }
    const { signal = null, ...rest } = options
    if (Object.keys(rest).length > 0) {
      throw invalid(Object.keys(rest)[0], 'is not an option of confirm', 'There is but `signal`.')
    }
    const json = claims(event)
    const start = (cancel) =>
      ask((channel, number) => take(native.clientConfirm(channel, number, this.#native, json, cancel)))
    const outcome = signal === null ? await start() : await abortable(signal, start)
    const { lastModified, ...found } = take(outcome)
    return { ...found, lastModified: lastModified === undefined ? undefined : new Date(lastModified) }
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

/** Runs what `start` starts until it ends or `signal` is aborted, whichever is first. */
function abortable(signal, start) {
  if (typeof signal?.addEventListener !== 'function' || typeof signal.aborted !== 'boolean') {
    throw invalid('signal', `must be an AbortSignal, but is ${typeName(signal)}`)
  }
  signal.throwIfAborted()
  const cancel = native.cancelNew()
  const running = start(cancel)
  return new Promise((resolve, reject) => {
    const forget = onAbort(signal, () => {
      native.cancel(cancel)
      reject(signal.reason)
    })
    running.then(resolve, reject).finally(forget)
  })
}

/** For each signal in use, the one listener of ours, and what it is to do. */
const listening = new WeakMap()

/**
 * Has `abort` called when `signal` is aborted, until the function that it returns is called. However many
 * calls share a signal, it has one listener of ours: Node takes many for a leak, and warns.
 */
function onAbort(signal, abort) {
  let entry = listening.get(signal)
  if (entry === undefined) {
    const calls = new Set()
    const listener = () => calls.forEach((call) => call())
    entry = { calls, listener }
    listening.set(signal, entry)
    signal.addEventListener('abort', listener, { once: true })
  }
  entry.calls.add(abort)
  return () => {
    entry.calls.delete(abort)
    if (entry.calls.size === 0 && listening.get(signal) === entry) {
      listening.delete(signal)
      signal.removeEventListener('abort', entry.listener)
    }
  }
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
  CallbackVerifier,
  CallbackEvent,
  reply,
  refusal,
  ...classes,
}
