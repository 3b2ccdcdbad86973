// The receiving side as users of the frameworks would write it, for tsc. It is compiled, not run.

import { createServer } from 'node:http'
import express, { type Request as ExpressRequest } from 'express'
import Fastify, { type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import Koa, { type Context } from 'koa'
import {
  Callback,
  CallbackEvent,
  CallbackVerifier,
  Client,
  VerificationError,
  failure,
  refusal,
  reply,
  type CallbackAnswer,
  type CallbackVerifierOptions,
  type Confirmation,
  type VerificationReason,
} from 'oss-callback'
import { receiveCallbacks as forExpress } from 'oss-callback/express'
import { receiveCallbacks as forFastify } from 'oss-callback/fastify'
import { receiveCallbacks as forHttp, type CallbackHandler, type ReceiveOptions } from 'oss-callback/http'
import { receiveCallbacks as forKoa } from 'oss-callback/koa'
import { receiveCallbacks as forWeb } from 'oss-callback/web'

const callback = new Callback('https://a.example.com/cb', {
  vars: { order: '42' },
  seal: { secret: 'a secret of sixteen bytes', expiresInMs: 60_000 },
})
const sealed: Callback = callback.sealedFor('b', 'k', { time: new Date() })
const options: CallbackVerifierOptions = {
  bucket: ['photos', 'films'],
  sealSecret: 'a secret of sixteen bytes',
  trustedKeys: process.env.CALLBACK_KEY,
  callback: sealed,
  fetchKey: async (url: string) => Buffer.from(url),
  bodyTimeoutMs: 1000,
  firstUse: async (nonce, expiresAt) => nonce.length > 0 && expiresAt.getTime() > 0,
}
const verifier = new CallbackVerifier(options)
const client = new Client()

async function uploaded(event: CallbackEvent): Promise<CallbackAnswer> {
  const size: number | undefined = event.size
  const crc: bigint = BigInt(event.crc64 ?? 0)
  const order: string | undefined = event.variables['order']
  const why: string | undefined = event.notNumbers['size']
  const stored: Confirmation = await client.confirm(event, { signal: AbortSignal.timeout(4000) })
  const modified: Date | undefined = stored.lastModified
  console.log(
    size,
    crc,
    order,
    why,
    modified,
    event.seal?.expiresAt,
    event.fields[0]?.kind,
    event.image.width,
    Math.min(verifier.maxBody, verifier.bodyTimeoutMs),
  )
  if (event.size === 0) {
    return failure()
  }
  return event.key === undefined ? refusal() : reply({ key: event.key })
}

export async function byHand(request: Request): Promise<VerificationReason | undefined> {
  try {
    const body = await request.arrayBuffer()
    await verifier.verify(request.method, request.url, request.headers, body)
    await verifier.verify('POST', '/', { a: 'b', c: ['d'], e: undefined }, Buffer.alloc(0))
    await verifier.verify('POST', '/', ['a', 'b'], new Uint8Array(), { now: new Date() })
    await verifier.verifySignature('POST', '/', ['a', 'b'], new Uint8Array())
    return undefined
  } catch (error) {
    return error instanceof VerificationError ? error.reason : undefined
  }
}

const shared: ReceiveOptions<unknown> = { log: (error) => console.warn(error.message) }
const any: CallbackHandler<unknown> = (event) => ({ key: event.key })

createServer(forHttp(verifier, any, shared))
const app = express()
app.post('/a', forExpress(verifier, uploaded))
app.post(
  '/b',
  forExpress(verifier, (event, req: ExpressRequest) => ({ key: event.key, host: req.hostname }), shared),
)
app.use('/api', express.Router().post('/c', forExpress(verifier, any)))
const fastify = Fastify()
fastify.register(forFastify(verifier, uploaded, { path: '/a', ...shared }))
fastify.register(
  forFastify(verifier, (event, request: FastifyRequest) => request.id + event.key, { path: '/b' }),
  {
    prefix: '/api',
  },
)
new Koa()
  .use(forKoa(verifier, uploaded, shared))
  .use(forKoa(verifier, (event, ctx: Context) => [event.key, ctx.ip]))
new Hono().post('/a', (c) => forWeb(verifier, uploaded)(c.req.raw))
export const POST: (request: Request) => Promise<Response> = forWeb(
  verifier,
  (event, request) => request.url + event.key,
)

// A by-hand event for tests, and what was kept of one.
void uploaded(new CallbackEvent({ bucket: 'b', key: 'k', variables: { order: '42' } }))
void uploaded(CallbackEvent.parse(Buffer.from('object=k'), 'form', 'object=${object}'))
void client.confirm({ bucket: 'b', key: 'k', size: 1 })

// @ts-expect-error: the path is missing
forFastify(verifier, uploaded, {})
// @ts-expect-error: a typo
new CallbackVerifier({ sealsecret: 'a' })
// @ts-expect-error: text is not the raw body
void verifier.verify('POST', '/', [], 'text')
// @ts-expect-error: not one of the types
CallbackEvent.parse(Buffer.alloc(0), 'xml')
// @ts-expect-error: a seal without its life
new Callback('https://a.example.com', { seal: { secret: 'a' } })
// @ts-expect-error: events do not change
new CallbackEvent({}).key = 'k'
