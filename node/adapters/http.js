'use strict'

// Servers of node:http, and frameworks that hand on its requests and responses.

const { bodyOf, headersOf, targetOf } = require('../lib/incoming.js')
const { Receiver } = require('../lib/receiver.js')

function receiveCallbacks(verifier, handler, options) {
  const receiver = new Receiver(verifier, handler, options)
  return async (req, res) => {
    const { answer, whole } = await receiver.receive({
      request: req,
      method: req.method,
      target: targetOf(req),
      headers: req.rawHeaders,
      body: bodyOf(req),
    })
    if (!res.headersSent && !res.destroyed) {
      res.writeHead(answer.status, headersOf(answer, whole)).end(answer.body)
    }
  }
}

module.exports = { receiveCallbacks }
