// The adapters, behind the real frameworks, which real uploads make OSS call.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
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
import {
  Callback,
  CallbackFailedError,
  CallbackVerifier,
  InvalidArgumentError,
  NetworkError,
  TimeoutError,
  VerificationError,
  refusal,
} from '../../node/index.mjs'
import {
  at,
  BUCKET,
  callback,
  client,
  DATA,
  framework,
  FRAMEWORKS,
  publicKey,
  rejection,
  ROOT,
  thrown,
} from './bed.mjs'

const SECRET = 'a secret of more than sixteen bytes'
const seal = { secret: SECRET, expiresInMs: 60_000 }
const REFUSED = '{"error":"the callback could not be verified"}'
const FAILED = '{"error":"the callback could not be answered"}'

async function listening(server) {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${server.address().port}`
}

const express = (name, build) => async (verifier, handler, options) => {
  const app = build(framework(name), forExpress.receiveCallbacks(verifier, handler, options))
  app.use((error, req, res, next) => res.headersSent || res.status(599).end(String(error)))
  const server = http.createServer(app)
  return { url: await listening(server), close: () => server.close() }
}

const fastify = (register) => async (verifier, handler, options) => {
  const app = framework('fastify')()
  await register(app, (path) => forFastify.receiveCallbacks(verifier, handler, { path, ...options }))
  return { url: await app.listen({ port: 0, host: '127.0.0.1' }), close: () => app.close() }
}

const koa = (build) => async (verifier, handler, options) => {
  const app = new (framework('koa'))()
  build(app, forKoa.receiveCallbacks(verifier, handler, options))
  const server = http.createServer(app.callback())
  return { url: await listening(server), close: () => server.close() }
}

const hono = (build) => async (verifier, handler, options) => {
  const receive = forWeb.receiveCallbacks(verifier, handler, options)
  const app = build(framework('hono').Hono, receive)
  const server = framework('@hono/node-server').createAdaptorServer({ fetch: app.fetch })
  return { url: await listening(server), close: () => server.close() }
}

/** Each answers at /echo, where the testbed's application server would. */
const APPS = {
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

/** Each answers at /api/v1/echo, below something that cuts prefixes off. */
const MOUNTED = {
  'Express 5': express('express', (make, receive) => {
    const inner = make.Router().post('/echo', receive)
    return make().use('/api', make.Router().use('/v1', inner))
  }),
  'Express 4': express('express4', (make, receive) => {
    const inner = make.Router().post('/echo', receive)
    return make().use('/api', make.Router().use('/v1', inner))
  }),
  Fastify: fastify((app, plugin) => app.register(plugin('/echo'), { prefix: '/api/v1' })),
  Koa: koa((app, receive) => app.use(framework('koa-mount')('/api/v1/echo', receive))),
  Hono: hono((Hono, receive) =>
    new Hono().route(
      '/api',
      new Hono().basePath('/v1').post('/echo', (c) => receive(c.req.raw)),
    ),
  ),
}

const trusting = (options) => new CallbackVerifier({ trustedKeys: publicKey, ...options })

/** Runs `body` against a server, with what the log was told. */
async function serving(start, verifier, handler, options, body) {
  const logged = []
  const server = await start(verifier, handler, { log: (error) => logged.push(error), ...options })
  try {
    return await body(server.url, logged)
  } finally {
    await server.close()
  }
}

const put = (url, options) =>
  client().putObjectWithCallback(BUCKET, 'ü 1.txt', DATA, new Callback(url, options))

const answered = (event) => ({ key: event.key, order: event.variables.order })

/** A callback as it was received at /echo, to be sent to others. */
async function captured(options) {
  const reply = await client().putObjectWithCallback(BUCKET, 'a.txt', DATA, callback('/echo', options))
  const { headers, body } = reply.json()
  const own = ['host', 'connection', 'content-length', 'transfer-encoding']
  return { headers: headers.filter(([name]) => !own.includes(name.toLowerCase())), body: Buffer.from(body) }
}

/** Sends a request byte by byte as given, and tells what came back until the connection ended. */
async function exchange(
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

for (const [name, start] of Object.entries(APPS)) {
  test(`${name}: a_sealed_upload_reaches_the_handler_and_its_answer_the_uploader`, async () => {
    const verifier = trusting({ bucket: BUCKET, sealSecret: SECRET })
    await serving(start, verifier, answered, {}, async (url, logged) => {
      for (const query of ['', '?a=%2F&b', '?']) {
        const reply = await put(`${url}/echo${query}`, { vars: { order: '4 2' }, seal })
        assert.deepEqual(reply.json(), { key: 'ü 1.txt', order: '4 2' })
        assert.equal(reply.contentType, 'application/json')
      }
      const json = await put(`${url}/echo`, { vars: { order: '1' }, seal, bodyType: 'json' })
      assert.deepEqual(json.json(), { key: 'ü 1.txt', order: '1' })
      assert.deepEqual(logged, [])

      const forged = await rejection(
        put(`${url}/echo`, { seal: { ...seal, secret: 'another secret of 16 bytes' } }),
      )
      assert.ok(forged instanceof CallbackFailedError)
      assert.equal(forged.callbackStatus, 403)
      assert.equal((await rejection(put(`${url}/echo`))).callbackStatus, 403)
      assert.deepEqual(
        logged.splice(0).map(({ reason }) => reason),
        ['seal_wrong', 'seal_missing'],
      )
    })
  })

  test(`${name}: what_does_not_verify_never_reaches_the_handler`, async () => {
    let handled = 0
    const handler = () => (handled += 1)
    await serving(
      start,
      trusting({ maxBody: 1000 }),
      handler,
      { bodyTimeoutMs: 300 },
      async (url, logged) => {
        const { headers, body } = await captured()
        assert.equal((await exchange(url, { headers, body })).status, 200)
        assert.equal(handled, 1)
        const chunked = [['Transfer-Encoding', 'chunked']]
        const chunk = 'a'.repeat(800)
        const tooMuch = `320\r\n${chunk}\r\n`.repeat(2)
        for (const [request, expected] of [
          [{ headers, body: `${body}&admin=1` }, 'wrong_signature'],
          [{ headers, body, target: '/echo?a=1' }, 'wrong_signature'],
          [{ headers: [], body }, 'missing_authorization'],
          [{ headers: [], body: '' }, 'missing_authorization'],
          [{ headers: [...headers, ['authorization', 'AAAA']], body }, 'duplicate_header'],
          // The server ends these connections: the rest of the body is not wanted.
          [{ headers, body: 'a'.repeat(1001), length: 1002, keep: true }, 'body_too_large'],
          [{ headers, body: 'a'.repeat(3000), length: 1e9, keep: true }, 'body_too_large'],
          [{ headers: [...headers, ...chunked], body: tooMuch, length: null }, 'body_too_large'],
          [{ headers, body: 'half', length: 8, keep: true }, TimeoutError],
        ]) {
          const begun = performance.now()
          const answer = await exchange(url, request)
          assert.deepEqual([answer.status, answer.body], [403, REFUSED], `${expected}: ${answer.head}`)
          assert.ok(performance.now() - begun < 3000)
          const [error] = logged.splice(0)
          if (expected === TimeoutError) {
            assert.ok(error instanceof TimeoutError, String(error))
          } else if (name === 'Hono' && expected === 'duplicate_header') {
            // Headers of the Fetch standard join what stands twice.
            assert.equal(error.reason, 'bad_authorization')
          } else {
            assert.equal(error.reason, expected, String(error))
          }
        }
        // A sender who leaves.
        await exchange(url, { headers, body: 'half', length: 8, wait: 50 })
        await sleep(100)
        assert.ok(logged[0] instanceof NetworkError || logged[0] instanceof TimeoutError, String(logged[0]))
        assert.equal(handled, 1)
        // And it still serves.
        assert.equal((await exchange(url, { headers, body })).status, 200)
      },
    )
  })

  test(`${name}: what_the_handler_does_decides_the_answer`, async () => {
    const why = new Error('the database is down')
    const unconfirmed = new VerificationError('it is not there', { reason: 'object_missing' })
    const { headers, body } = await captured()
    let behave
    let given
    const handler = async (event, request) => {
      given = request
      return behave(event)
    }
    const broken = (error) => {
      if (error === why) {
        throw new Error('the log is broken')
      }
    }
    const logged = []
    const log = (error) => (logged.push(error), broken(error))
    const { error } = console
    const printed = []
    console.error = (...line) => printed.push(line)
    try {
      await serving(start, trusting(), handler, { log }, async (url) => {
        for (const [does, status, text] of [
          [() => ({ a: 'ü' }), 200, '{"a":"ü"}'],
          [() => '{"a": 1}', 200, '{"a": 1}'],
          [() => Buffer.from('[1]'), 200, '[1]'],
          [() => undefined, 200, '{}'],
          [() => null, 200, 'null'],
          [() => refusal(), 403, REFUSED],
          [() => Promise.reject(unconfirmed), 403, REFUSED],
          [() => Promise.reject(why), 500, FAILED],
          [() => 'OK', 500, FAILED],
          [() => 1n, 500, FAILED],
        ]) {
          behave = does
          const answer = await exchange(url, { headers, body })
          assert.deepEqual([answer.status, answer.body], [status, text])
          assert.match(answer.head, /content-type: application\/json\r\n/i)
          assert.match(answer.head, new RegExp(`content-length: ${Buffer.byteLength(text)}\r\n`, 'i'))
        }
        assert.equal(logged.length, 4)
        assert.deepEqual(logged.slice(0, 2), [unconfirmed, why])
        assert.ok(
          logged.slice(2).every((one) => one instanceof InvalidArgumentError && one.field === 'answer'),
        )
        assert.equal(printed.length, 1)
        assert.ok(given.raw ?? given.req ?? given.rawHeaders ?? given.headers)
      })
    } finally {
      console.error = error
    }
  })

  test(`${name}: the_target_before_a_proxy_can_be_told`, async () => {
    const request = await captured()
    const told = []
    const target = (given) => (told.push(given), '/echo')
    await serving(start, trusting(), answered, { target }, async (url) => {
      assert.equal((await exchange(url, { ...request, target: '/echo?rewritten' })).status, 200)
      assert.equal(told.length, 1)
    })
  })
}

for (const [name, start] of Object.entries(MOUNTED)) {
  test(`${name}: mounted_routers_do_not_change_what_was_signed`, async () => {
    await serving(start, trusting({ sealSecret: SECRET }), answered, {}, async (url, logged) => {
      const reply = await put(`${url}/api/v1/echo?a=1`, { seal, vars: { order: '7' } })
      assert.deepEqual(reply.json(), { key: 'ü 1.txt', order: '7' })
      assert.deepEqual(logged, [])
    })
  })
}

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

test('wrong_arguments_of_an_adapter_are_refused_when_it_is_made', () => {
  const verifier = trusting()
  for (const [field, ...given] of [
    ['verifier', {}, answered],
    ['verifier', undefined, answered],
    ['handler', verifier],
    ['handler', verifier, {}],
    ['options', verifier, answered, 5],
    ['bodyTimeout', verifier, answered, { bodyTimeout: 1 }],
    ['bodyTimeoutMs', verifier, answered, { bodyTimeoutMs: 0 }],
    ['bodyTimeoutMs', verifier, answered, { bodyTimeoutMs: Infinity }],
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

test('the_main_entry_does_not_load_the_adapters', () => {
  const code = `
    require(${JSON.stringify(path.join(ROOT, 'node/index.js'))})
    console.log(Object.keys(require.cache).join(' '))`
  const loaded = execFileSync(process.execPath, ['--eval', code], { encoding: 'utf8' })
  assert.match(loaded, /lib.verifier\.js/)
  assert.doesNotMatch(loaded, /adapters|receiver\.js|incoming\.js/)
})

async function freePort() {
  const server = net.createServer()
  const url = await listening(server)
  server.close()
  return new URL(url).port
}

async function reachable(port) {
  for (let attempt = 0; attempt < 200; attempt += 1) {
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
      TRUSTED_KEY: publicKey,
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
