'use strict'

// Node's own requests and responses, which most frameworks wrap.

const { isUint8Array } = require('node:util/types')

/**
 * The body for a Receiver: the stream, as long as nobody has read from it; else what a parser may have kept
 * of it: bytes, or text. Undefined where it is gone.
 */
function bodyOf(req, ...kept) {
  if (!req.readableDidRead && !req.readableEnded) {
    return chunksOf(req)
  }
  return [req.rawBody, req.body, ...kept].find(isUint8Array) ?? [req.rawBody, ...kept].find(isText)
}

const isText = (value) => typeof value === 'string'

/** Stops without destroying the request, so that it can still be answered. */
function chunksOf(stream) {
  return { [Symbol.asyncIterator]: () => stream.iterator({ destroyOnReturn: false }) }
}

/** The target as it arrived: frameworks cut the prefix of a mounted router off `url`. */
function targetOf(req) {
  return req.originalUrl ?? req.url
}

/** The headers of an answer. A connection on which the rest of a body may follow cannot be used again. */
function headersOf(answer, whole) {
  return whole ? answer.headers : { ...answer.headers, Connection: 'close' }
}

module.exports = { bodyOf, chunksOf, targetOf, headersOf }
