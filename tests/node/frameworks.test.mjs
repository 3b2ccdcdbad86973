// The adapters: what reaches the handler, and what the sender gets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CallbackFailedError,
  InvalidArgumentError,
  NetworkError,
  TimeoutError,
  VerificationError,
  failure,
  refusal,
} from '../../node/index.mjs'
import { BUCKET, framework, HANG, rejection, until } from './bed.mjs'
import * as frameworks from './frameworks.mjs'

const { answered, APPS, captured, exchange, express, FAILED, fastify, hono, koa, put } = frameworks
const { REFUSED, seal, SECRET, serving, trusting } = frameworks

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
    const strict = trusting({ maxBody: 1000, bodyTimeoutMs: 2000 })
    await serving(start, strict, handler, {}, async (url, logged) => {
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
        assert.ok(performance.now() - begun < HANG / 2)
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
      await until(() => logged.length > 0)
      assert.ok(logged[0] instanceof NetworkError || logged[0] instanceof TimeoutError, String(logged[0]))
      assert.equal(handled, 1)
      // And it still serves.
      assert.equal((await exchange(url, { headers, body })).status, 200)
    })
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
          [() => undefined, 200, 'null'],
          [() => null, 200, 'null'],
          [() => refusal(), 403, REFUSED],
          [() => failure(), 500, FAILED],
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
