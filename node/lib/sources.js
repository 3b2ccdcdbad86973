'use strict'

// What can be uploaded, and how each is read: bytes and paths are the addon's to read, everything else
// gives chunks here.

const { Buffer } = require('node:buffer')
const { fileURLToPath } = require('node:url')
const { bytes, isPlain, typeName } = require('./arguments.js')
const { invalid } = require('./errors.js')

/** How much of a FileHandle is read at once. */
const READ_BYTES = 256 * 1024

/**
 * The source of an upload: `given(number)` is what the addon takes, `length` what it has to know beside
 * that. `begin()` is to be called once the upload is under way, and `close()` when it has ended.
 */
class Source {
  constructor(given, length) {
    this.given = given
    this.length = length
  }

  begin() {}

  close() {}

  causeOf() {}
}

/** Recognizes a source. `length` is what the caller says of it. */
function sourceOf(field, data, length) {
  const announced = checkLength(length)
  const stream = chunksOf(field, data)
  if (stream !== undefined) {
    const { Feed } = require('./feed.js')
    return new Feed(stream.chunks, announced ?? stream.size)
  }
  if (announced !== undefined) {
    throw invalid('length', 'is for streams: the length of anything else is known')
  }
  return new Source(pathOf(field, data) ?? bytes(field, data))
}

function checkLength(length) {
  if (length === undefined) {
    return undefined
  }
  const number = typeof length === 'bigint' ? Number(length) : length
  if (!Number.isSafeInteger(number) || number < 0) {
    const is = typeof number === 'number' ? number : typeName(length)
    throw invalid('length', `must be a whole number of bytes, not below 0, but is ${is}`)
  }
  return number
}

/** The path that `{ path }` or a `file:` URL names. */
function pathOf(field, data) {
  if (isPlain(data) && 'path' in data) {
    const { path, ...rest } = data
    const [other] = Object.keys(rest)
    if (other !== undefined) {
      throw invalid(field, `has \`path\`, and so no \`${other}\``)
    }
    return isUrl(path) ? fromUrl(field, path) : checkPath(field, path)
  }
  return isUrl(data) ? fromUrl(field, data) : undefined
}

function checkPath(field, path) {
  if (typeof path !== 'string') {
    throw invalid(`${field}.path`, `must be a string, but is ${typeName(path)}`)
  }
  if (path === '' || path.includes('\0') || !path.isWellFormed()) {
    throw invalid(`${field}.path`, 'is no path of a file')
  }
  return path
}

function isUrl(value) {
  return value instanceof URL || (typeof value?.href === 'string' && typeof value.protocol === 'string')
}

function fromUrl(field, url) {
  if (url.protocol !== 'file:') {
    const hint = 'Get it first, and pass the body: `(await fetch(url)).body`.'
    throw invalid(field, `is a URL with ${url.protocol}, but only file: is read`, hint)
  }
  try {
    return fileURLToPath(url)
  } catch (error) {
    throw invalid(field, `is no URL of a file here: ${error.message}`)
  }
}

/** The chunks of a stream, and its size where it tells. `undefined` for what is no stream. */
function chunksOf(field, data) {
  if (typeof data !== 'object' && typeof data !== 'function') {
    return undefined
  }
  if (data === null || ArrayBuffer.isView(data)) {
    return undefined
  }
  if (isFileHandle(data)) {
    return { chunks: ofHandle(data) }
  }
  if (isBlob(data)) {
    return { chunks: ofWebStream(data.stream()), size: data.size }
  }
  if (typeof data.getReader === 'function') {
    if (data.locked) {
      throw invalid(field, 'is a stream that somebody else reads already')
    }
    return { chunks: ofWebStream(data) }
  }
  if (typeof data.pipe === 'function') {
    return { chunks: ofReadable(field, data) }
  }
  const open = data[Symbol.asyncIterator] ?? data[Symbol.iterator]
  return typeof open === 'function' ? { chunks: ofIterable(data, open) } : undefined
}

function isFileHandle(data) {
  return typeof data.fd === 'number' && typeof data.read === 'function' && typeof data.stat === 'function'
}

function isBlob(data) {
  return typeof data.stream === 'function' && typeof data.size === 'number'
}

// What gives chunks has `next()`, as an iterator has it, and `stop()` for when no more are wanted. What goes
// wrong in `stop()` is nobody's business.

/** From its position to its end. It stays open: whoever opened it closes it. */
function ofHandle(handle) {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  return {
    async next() {
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, null)
      return { done: bytesRead === 0, value: buffer.subarray(0, bytesRead) }
    },
    stop() {},
  }
}

function ofWebStream(stream) {
  let reader
  return {
    async next() {
      reader ??= stream.getReader()
      const result = await reader.read()
      if (result.done) {
        reader.releaseLock()
      }
      return result
    },
    stop() {
      reader ??= stream.getReader()
      return reader.cancel().finally(() => reader.releaseLock())
    },
  }
}

function ofReadable(field, stream) {
  if (typeof stream[Symbol.asyncIterator] !== 'function') {
    const hint = 'Wrap it: `new Readable().wrap(stream)`.'
    throw invalid(field, `is ${typeName(stream)}, which is no readable stream of today`, hint)
  }
  if (stream.readableEnded || stream.destroyed) {
    throw invalid(field, 'is a stream that has been read to its end, or was destroyed')
  }
  let iterator
  return {
    next() {
      iterator ??= stream[Symbol.asyncIterator]()
      return iterator.next()
    },
    stop() {
      // An error that nobody listens for would end the process.
      stream.on('error', () => {})
      stream.destroy()
    },
  }
}

function ofIterable(data, open) {
  let iterator
  return {
    next() {
      iterator ??= open.call(data)
      return iterator.next()
    },
    stop() {
      iterator ??= open.call(data)
      return iterator.return?.()
    },
  }
}

module.exports = { sourceOf }
