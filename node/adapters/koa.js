'use strict'

// Koa.

const { bodyOf, headersOf, targetOf } = require('../lib/incoming.js')
const { Receiver } = require('../lib/receiver.js')

function receiveCallbacks(verifier, handler, options) {
  const receiver = new Receiver(verifier, handler, options)
  return async (ctx) => {
    const { answer, whole } = await receiver.receive({
      request: ctx,
      method: ctx.method,
      target: ctx.originalUrl ?? targetOf(ctx.req),
      headers: ctx.req.rawHeaders,
      body: bodyOf(ctx.req, ctx.request.rawBody, ctx.request.body),
    })
    ctx.status = answer.status
    ctx.body = answer.body
    ctx.set(headersOf(answer, whole))
  }
}

module.exports = { receiveCallbacks }
