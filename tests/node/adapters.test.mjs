// The adapters: body parsers before them, their arguments and logs, and the examples.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import * as forExpress from '../../node/adapters/express.js'
import * as forFastify from '../../node/adapters/fastify.js'
import * as forHttp from '../../node/adapters/http.js'
import * as forKoa from '../../node/adapters/koa.js'
import * as forWeb from '../../node/adapters/web.js'
import { InvalidArgumentError, NetworkError } from '../../node/index.mjs'
import { framework, FRAMEWORKS, publicKey, rejection, ROOT, thrown, until } from './bed.mjs'
import * as frameworks from './frameworks.mjs'

const { answered, APPS, captured, exchange, express, fastify, hono, koa, listening, put, seal } = frameworks
const { REFUSED, SECRET, serving, trusting } = frameworks

const keep = (req, res, raw) => {
  req.rawBody = raw
}

/** Servers with a body parser before, and whether it leaves the raw bytes. */
const PARSERS = {
  'express.urlencoded': [
    false,
    express('express', (make, receive) => make().use(make.urlencoded()).post('/echo', receive)),
  ],
  'express.urlencoded of Express 4': [
    false,
    express('express4', (make, receive) =>
      make()
        .use(make.urlencoded({ extended: true }))
        .post('/echo', receive),
    ),
  ],
  'express.json, of another type': [
    true,
    express('express', (make, receive) => make().use(make.json()).post('/echo', receive)),
  ],
  'express.raw': [
    true,
    express('express', (make, receive) =>
      make()
        .use(make.raw({ type: '*/*' }))
        .post('/echo', receive),
    ),
  ],
  'express.urlencoded that keeps rawBody': [
    true,
    express('express', (make, receive) =>
      make()
        .use(make.urlencoded({ verify: keep }))
        .post('/echo', receive),
    ),
  ],
  'an encoding that was set': [
    true,
    express('express', (make, receive) =>
      make()
        .use((req, res, next) => (req.setEncoding('utf8'), next()))
        .post('/echo', receive),
    ),
  ],
  'koa-bodyparser': [true, koa((app, receive) => app.use(framework('koa-bodyparser')()).use(receive))],
  'koa-bodyparser that forgets': [
    false,
    koa((app, receive) =>
      app.use(framework('koa-bodyparser')()).use((ctx) => {
        delete ctx.request.rawBody
        return receive(ctx)
      }),
    ),
  ],
  'a parser of Fastify': [
    true,
    fastify((app, plugin) => {
      app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => done(null, { body }))
      return app.register(plugin('/echo'))
    }),
  ],
  'text() of Hono': [
    false,
    hono((Hono, receive) => new Hono().post('/echo', async (c) => (await c.req.text(), receive(c.req.raw)))),
  ],
}

for (const [name, [works, start]] of Object.entries(PARSERS)) {
  test(`${name}: a_body_that_was_parsed_before_is_taken_raw_or_explained`, async () => {
    await serving(start, trusting(), answered, {}, async (url, logged) => {
      if (works) {
        assert.equal((await put(`${url}/echo`)).json().key, 'ü 1.txt')
        return
      }
      const error = await rejection(put(`${url}/echo`))
      assert.equal(error.callbackStatus, 500)
      assert.equal(logged.length, 1)
      assert.equal(logged[0].field, 'body')
      assert.match(logged[0].message, /was read before it could be verified/)
      assert.match(logged[0].hint, /mount the callback above it/)
    })
  })
}

test('without_a_log_the_console_or_fastify_tells', async () => {
  const { warn } = console
  const lines = []
  console.warn = (line) => lines.push(line)
  try {
    const server = await APPS['node:http'](trusting(), answered)
    await exchange(server.url, { body: 'a=1' })
    server.close()
  } finally {
    console.warn = warn
  }
  assert.match(lines[0], /^oss-callback: a callback is refused: missing_authorization: /)
  const written = []
  const app = framework('fastify')({
    logger: { stream: { write: (line) => written.push(JSON.parse(line)) } },
  })
  app.register(forFastify.receiveCallbacks(trusting(), answered, { path: '/echo' }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  await exchange(`http://127.0.0.1:${app.server.address().port}`, { body: 'a=1' })
  await app.close()
  const { level, reason } = written.find(({ msg }) => msg === 'a callback is refused')
  assert.deepEqual([level, reason], [40, 'missing_authorization'])
})

test('a_log_that_fails_is_told_on_the_console_and_ends_nothing', async () => {
  const why = new Error('the log is down')
  const { error } = console
  const told = []
  console.error = (...line) => told.push(line)
  // An unhandled rejection would fail this test, and end a program.
  const fails = () => {
    throw why
  }
  try {
    for (const log of [fails, async () => fails(), () => ({ then: (resolve, reject) => reject(why) })]) {
      const server = await APPS['node:http'](trusting(), answered, { log })
      assert.equal((await exchange(server.url, { body: 'a=1' })).status, 403)
      server.close()
      await until(() => told.length > 0)
      assert.equal(told.splice(0)[0][1], why)
    }
  } finally {
    console.error = error
  }
})

test('wrong_arguments_of_an_adapter_are_refused_when_it_is_made', () => {
  const verifier = trusting()
  for (const [field, ...given] of [
    ['verifier', {}, answered],
    ['verifier', undefined, answered],
    ['handler', verifier],
    ['handler', verifier, {}],
    ['options', verifier, answered, 5],
    ['logger', verifier, answered, { logger: console }],
    // Of the verifier.
    ['bodyTimeoutMs', verifier, answered, { bodyTimeoutMs: 1000 }],
    ['log', verifier, answered, { log: 'console' }],
    ['target', verifier, answered, { target: '/a' }],
  ]) {
    for (const { receiveCallbacks } of [forHttp, forExpress, forKoa, forWeb]) {
      const error = thrown(() => receiveCallbacks(...given))
      assert.ok(error instanceof InvalidArgumentError, String(error))
      assert.equal(error.field, field)
    }
  }
  assert.equal(thrown(() => forFastify.receiveCallbacks(verifier, answered)).field, 'path')
})

test('a_body_that_breaks_off_is_refused', async () => {
  const logged = []
  const receive = forWeb.receiveCallbacks(trusting(), answered, { log: (error) => logged.push(error) })
  const why = new Error('the line broke')
  const body = new ReadableStream({ pull: (controller) => controller.error(why) })
  const answer = await receive(new Request('http://a/', { method: 'POST', body, duplex: 'half' }))
  assert.deepEqual([answer.status, await answer.text()], [403, REFUSED])
  assert.ok(logged[0] instanceof NetworkError, String(logged[0]))
  assert.equal(logged[0].cause, why)
})

test('a_time_that_no_timer_takes_does_not_end_at_once', async () => {
  const day = 24 * 3600 * 1000
  const patient = trusting({ bodyTimeoutMs: 100 * day })
  await serving(APPS['node:http'], patient, answered, {}, async (url, logged) => {
    const { body, headers } = await captured()
    const socket = net.connect(new URL(url).port, '127.0.0.1')
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    socket.write(`POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${lines}\r\n`)
    await sleep(100)
    socket.end(body)
    const [answer] = await once(socket.setEncoding('utf8'), 'data')
    assert.match(answer, /^HTTP\/1.1 200 /)
    assert.deepEqual(logged, [])
  })
})

test('the_main_entry_does_not_load_the_adapters', () => {
  const code = `
    const ossCallback = require(${JSON.stringify(path.join(ROOT, 'node/index.js'))})
    console.log(Object.keys(require.cache).join(' '))
    if (typeof ossCallback.CallbackVerifier !== 'function') throw new Error('no verifier')
    console.log(Object.keys(require.cache).join(' '))`
  const printed = execFileSync(process.execPath, ['--eval', code], { encoding: 'utf8' })
  const [first, afterwards] = printed.split('\n')
  assert.match(first, /lib.native\.js/)
  assert.doesNotMatch(first, /adapters|receiver\.js|incoming\.js|verifier\.js|uploads\.js|sources\.js/)
  // The verifier is loaded when it is asked for, and still no adapter.
  assert.match(afterwards, /lib.verifier\.js/)
  assert.doesNotMatch(afterwards, /adapters|receiver\.js|incoming\.js/)
})

async function freePort() {
  const server = net.createServer()
  const url = await listening(server)
  server.close()
  return new URL(url).port
}

async function reachable(port) {
  for (let attempt = 0; attempt < 1200; attempt += 1) {
    const socket = net.connect(port, '127.0.0.1')
    const came = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (came) {
      return
    }
    await sleep(50)
  }
  throw new Error('the example does not listen')
}

for (const name of ['express', 'fastify', 'koa', 'hono']) {
  test(`${name}: the_example_answers_a_sealed_upload`, async () => {
    const file = path.join(ROOT, 'node/examples', `${name}.mjs`)
    assert.ok((await readFile(file, 'utf8')).split('\n').length <= 20)
    const port = await freePort()
    const hook = pathToFileURL(path.join(ROOT, 'tests/node/frameworks-hook.mjs')).href
    const env = {
      ...process.env,
      PORT: port,
      HOST: '127.0.0.1',
      SEAL_SECRET: SECRET,
      CALLBACK_KEY: publicKey,
      FRAMEWORKS: pathToFileURL(`${FRAMEWORKS}/`).href,
    }
    const child = spawn(process.execPath, ['--import', hook, file], {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    try {
      await reachable(port)
      const url = `http://127.0.0.1:${port}/oss/uploaded`
      const reply = await put(url, { vars: { order: '42' }, seal })
      assert.deepEqual(reply.json(), { key: 'ü 1.txt', order: '42' })
    } finally {
      child.kill()
      await once(child, 'exit')
    }
  })
}
