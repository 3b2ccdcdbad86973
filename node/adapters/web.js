'use strict'

// Frameworks that take a Request of the Fetch standard and give a Response: Hono, Next.js, Bun, Deno.

const { Receiver } = require('../lib/receiver.js')

function receiveCallbacks(verifier, handler, options) {
  const receiver = new Receiver(verifier, handler, options)
  return async (request) => {
    const { answer } = await receiver.receive({
      request,
      method: request.method,
      target: request.url,
      headers: request.headers,
      body: bodyOf(request),
    })
    return new Response(answer.body, { status: answer.status, headers: answer.headers })
  }
}

function bodyOf(request) {
  if (request.bodyUsed) {
    return undefined
  }
  return request.body === null ? new Uint8Array(0) : { [Symbol.asyncIterator]: () => chunks(request.body) }
}

/** Not the stream's own iterator: the stream is cancelled at once, also while a chunk is waited for. */
function chunks(stream) {
  const reader = stream.getReader()
  return { next: () => reader.read(), return: () => reader.cancel() }
}

module.exports = { receiveCallbacks }
