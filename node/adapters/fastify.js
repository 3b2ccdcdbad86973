'use strict'

// Fastify: a plugin, within which no body is parsed.

const { chunksOf, headersOf } = require('../lib/incoming.js')
const { invalid } = require('../lib/errors.js')
const { Receiver, isRefusal } = require('../lib/receiver.js')

function receiveCallbacks(verifier, handler, { path, ...options } = {}) {
  if (typeof path !== 'string') {
    throw invalid('path', 'must be the path of the callback URL, such as `/oss/uploaded`')
  }
  const receiver = new Receiver(verifier, handler, options, toRequestLog)
  return async (instance) => {
    instance.removeAllContentTypeParsers()
    instance.addContentTypeParser('*', (request, payload, done) => done(null, payload))
    instance.post(path, async (request, reply) => {
      const { answer, whole } = await receiver.receive({
        request,
        method: request.raw.method,
        target: request.originalUrl ?? request.raw.originalUrl ?? request.raw.url,
        headers: request.raw.rawHeaders,
        body: request.body === undefined ? new Uint8Array(0) : chunksOf(request.body),
      })
      return reply.code(answer.status).headers(headersOf(answer, whole)).send(answer.body)
    })
  }
}

function toRequestLog(error, request) {
  if (isRefusal(error)) {
    request.log.warn({ err: error, reason: error.reason }, 'a callback is refused')
  } else {
    request.log.error({ err: error }, 'a callback could not be answered')
  }
}

module.exports = { receiveCallbacks }
