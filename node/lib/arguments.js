'use strict'

// Arguments as the addon takes them. It checks them itself; here is only what it cannot see.

const { isAnyArrayBuffer, isDate, isSharedArrayBuffer } = require('node:util/types')
const { invalid } = require('./errors.js')

/** Options as `[name, value, name, value, …]`, with objects in them as arrays of pairs. */
function flat(field, options) {
  if (options === undefined) {
    return []
  }
  if (!isPlain(options)) {
    throw invalid(field, 'must be an object of options')
  }
  const list = []
  for (const name of Object.keys(options)) {
    list.push(name, pairs(options[name]))
  }
  return list
}

/** Objects, Maps, Headers and the like as arrays; other values as they are. */
function pairs(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return value
  }
  if (typeof value[Symbol.iterator] === 'function') {
    return Array.from(value)
  }
  return isPlain(value) ? Object.entries(value) : value
}

/** A Date as Unix seconds. */
function moment(time) {
  return isDate(time) ? time.getTime() / 1000 : time
}

/** Options of which `time` may be a Date. */
function timed(field, options) {
  return flat(field, options?.time === undefined ? options : { ...options, time: moment(options.time) })
}

/**
 * A request to be signed as lines of text, if it is one of a bucket and a key, and of nothing but texts
 * beside: the usual one. Of everything else the addon takes and checks each value by itself.
 */
function linesOf(method, request) {
  if (!isPlain(request)) {
    return undefined
  }
  const { bucket, key, headers = {}, time, ...rest } = request
  const isTime = time === undefined || typeof time === 'number' || isDate(time)
  if (!isTime || !isPlain(headers) || Object.keys(rest).length > 0) {
    return undefined
  }
  const texts = [method, bucket, key]
  for (const name of Object.keys(headers)) {
    texts.push(name, headers[name])
  }
  const fit = texts.every((text) => typeof text === 'string' && !text.includes('\n'))
  return fit ? texts.join('\n') : undefined
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

/** The bytes of `data`, without a copy: the addon makes the one that is needed. */
function bytes(field, data) {
  const view = viewOf(field, data)
  // Another thread may write to shared memory while it is read.
  return isSharedArrayBuffer(view.buffer) ? new Uint8Array(view) : view
}

function viewOf(field, data) {
  try {
    if (data instanceof Uint8Array && data.byteLength > 0) {
      return data
    }
    if (ArrayBuffer.isView(data)) {
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    }
    if (isAnyArrayBuffer(data)) {
      return new Uint8Array(data)
    }
  } catch {
    // An empty view may be one whose memory was given to another thread: what was meant is lost.
    throw invalid(field, 'is detached: its memory was transferred', 'Copy it before the transfer.')
  }
  throw invalid(
    field,
    `must be a Buffer, another view of bytes, \`{ path }\`, a Blob or a stream, but is ${typeName(data)}`,
    hint(data),
  )
}

function hint(data) {
  if (typeof data === 'string') {
    return 'Encode text by `Buffer.from(text)`, and name a file by `{ path }`.'
  }
  if (typeof data?.arrayBuffer === 'function') {
    return 'Pass its `body`.'
  }
  return undefined
}

function typeName(value) {
  if (value === undefined || value === null) {
    return String(value)
  }
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : `a ${typeof value}`
}

function isPlain(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return false
  }
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

module.exports = { flat, fromFlat, linesOf, pairs, moment, timed, bytes, isPlain, typeName }
