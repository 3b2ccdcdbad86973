// The adapters behind the real frameworks, for the tests of them.

import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import * as forExpress from '../../node/adapters/express.js'
import * as forFastify from '../../node/adapters/fastify.js'
import * as forHttp from '../../node/adapters/http.js'
import * as forKoa from '../../node/adapters/koa.js'
import * as forWeb from '../../node/adapters/web.js'
import { Callback, CallbackVerifier } from '../../node/index.mjs'
import { BUCKET, callback, client, DATA, framework, publicKey } from './bed.mjs'

export const SECRET = 'a secret of more than sixteen bytes'
export const seal = { secret: SECRET, expiresInMs: 60_000 }
export const REFUSED = '{"error":"the callback could not be verified"}'
export const FAILED = '{"error":"the callback could not be answered"}'

export async function listening(server) {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${server.address().port}`
}

export const express = (name, build) => async (verifier, handler, options) => {
  const app = build(framework(name), forExpress.receiveCallbacks(verifier, handler, options))
  app.use((error, req, res, next) => res.headersSent || res.status(599).end(String(error)))
  const server = http.createServer(app)
  return { url: await listening(server), close: () => server.close() }
}

export const fastify = (register) => async (verifier, handler, options) => {
  const app = framework('fastify')()
  await register(app, (path) => forFastify.receiveCallbacks(verifier, handler, { path, ...options }))
  return { url: await app.listen({ port: 0, host: '127.0.0.1' }), close: () => app.close() }
}

export const koa = (build) => async (verifier, handler, options) => {
  const app = new (framework('koa'))()
  build(app, forKoa.receiveCallbacks(verifier, handler, options))
  const server = http.createServer(app.callback())
  return { url: await listening(server), close: () => server.close() }
}

export const hono = (build) => async (verifier, handler, options) => {
  const receive = forWeb.receiveCallbacks(verifier, handler, options)
  const app = build(framework('hono').Hono, receive)
  const server = framework('@hono/node-server').createAdaptorServer({ fetch: app.fetch })
  return { url: await listening(server), close: () => server.close() }
}

/** Each answers at /echo, where the testbed's application server would. */
export const APPS = {
  'node:http': async (verifier, handler, options) => {
    const server = http.createServer(forHttp.receiveCallbacks(verifier, handler, options))
    return { url: await listening(server), close: () => server.close() }
  },
  'Express 5': express('express', (make, receive) => make().post('/echo', receive)),
  'Express 4': express('express4', (make, receive) => make().post('/echo', receive)),
  Fastify: fastify((app, plugin) => app.register(plugin('/echo'))),
  Koa: koa((app, receive) => app.use((ctx, next) => (ctx.path === '/echo' ? receive(ctx) : next()))),
  Hono: hono((Hono, receive) => new Hono().post('/echo', (c) => receive(c.req.raw))),
}

export const trusting = (options) => new CallbackVerifier({ trustedKeys: publicKey, ...options })

/** Runs `body` against a server, with what the log was told. */
export async function serving(start, verifier, handler, options, body) {
  const logged = []
  const server = await start(verifier, handler, { log: (error) => logged.push(error), ...options })
  try {
    return await body(server.url, logged)
  } finally {
    await server.close()
  }
}

export const put = (url, options) =>
  client().putObjectWithCallback(BUCKET, 'ü 1.txt', DATA, new Callback(url, options))

export const answered = (event) => ({ key: event.key, order: event.variables.order })

/** A callback as it was received at /echo, to be sent to others. */
export async function captured(options) {
  const reply = await client().putObjectWithCallback(BUCKET, 'a.txt', DATA, callback('/echo', options))
  const { headers, body } = reply.json()
  const own = ['host', 'connection', 'content-length', 'transfer-encoding']
  return { headers: headers.filter(([name]) => !own.includes(name.toLowerCase())), body: Buffer.from(body) }
}

/** Sends a request byte by byte as given, and tells what came back until the connection ended. */
export async function exchange(
  url,
  { target = '/echo', method = 'POST', headers = [], body = '', length, wait, keep },
) {
  const socket = net.connect(new URL(url).port, '127.0.0.1')
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: a', `Connection: ${keep ? 'keep-alive' : 'close'}`]
  lines.push(...headers.map(([name, value]) => `${name}: ${value}`))
  if (length !== null) {
    lines.push(`Content-Length: ${length ?? Buffer.byteLength(body)}`)
  }
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  socket.write(body)
  let answer = ''
  socket.setEncoding('utf8').on('data', (text) => (answer += text))
  socket.on('error', () => {})
  if (wait !== undefined) {
    await sleep(wait)
    socket.destroy()
    return
  }
  await once(socket, 'close')
  const [head, ...rest] = answer.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head, body: rest.join('\r\n\r\n') }
}
