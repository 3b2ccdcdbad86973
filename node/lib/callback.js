'use strict'

// The callback: what OSS is asked for. Documentation: index.d.ts.

const { flat, fromFlat, isPlain, pairs, timed, typeName } = require('./arguments.js')
const { invalid, take } = require('./errors.js')
const native = require('./native.js')

/** Says to the constructor that the addon's part is there already. */
const SEALED = Symbol('sealed')

/** The addon's part of a Callback, for this package alone. */
let nativeOf

class Callback {
  #native
  #facts

  constructor(url, options) {
    if (url === SEALED) {
      this.#native = options
      return
    }
    const urls = url === undefined || url === null ? [] : Array.isArray(url) ? url : [url]
    const [rest, seal] = sealApart(options)
    this.#native = take(native.callbackNew(urls, flat('callback', rest), seal))
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

  get isToBeSealed() {
    return this.#told.toBeSealed
  }

  sealedFor(bucket, key, options) {
    return new Callback(
      SEALED,
      take(native.callbackSealedFor(this.#native, bucket, key, timed('options', options))),
    )
  }

  preview(values = {}) {
    const list = pairs(values)
    // The core reads every value from text, and says which ones must be numbers.
    const texts = Array.isArray(list) ? list.map(([name, value]) => [name, asText(value)]) : list
    return take(native.callbackPreview(this.#native, texts))
  }
}

function sealApart(options) {
  if (!isPlain(options) || !('seal' in options)) {
    return [options, undefined]
  }
  const { seal, ...rest } = options
  if (!isPlain(seal)) {
    // `undefined` among them: a seal must not be left out by accident.
    throw invalid('callback.seal', `must be an object with secret and expiresInMs, but is ${typeName(seal)}`)
  }
  return [rest, flat('callback.seal', seal)]
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

function asText(value) {
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : value
}

module.exports = { Callback, nativeCallback }
