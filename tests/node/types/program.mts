// A program as a user would write it, for tsc. It is compiled, not run.

import {
  Callback,
  CallbackFailedError,
  Client,
  InvalidArgumentError,
  OssCallbackError,
  Signer,
  type CallbackCause,
  type CallbackReply,
  type ClientOptions,
  type ErrorCode,
  type PutObjectOptions,
} from 'oss-callback'
import type {} from 'oss-callback/fastify'
import type {} from 'oss-callback/http'
import type {} from 'oss-callback/koa'
import type {} from 'oss-callback/web'

const options: ClientOptions = {
  region: 'cn-hangzhou',
  signatureVersion: 'v4',
  readTimeoutMs: 30_000,
  proxy: undefined,
}
const client = new Client(options)
const callback = new Callback(['https://a.example.com/cb', 'https://b.example.com/cb'], {
  bodyType: 'json',
  fields: { key: '${object}' },
  vars: new Map([['order', '42']]),
  headers: [['x-trace', '1']],
})
const put: PutObjectOptions = {
  contentType: 'text/plain',
  metadata: { owner: 'me' },
  headers: new Headers(),
  acl: 'public-read',
  signal: AbortSignal.timeout(1000),
}

export async function upload(data: Uint8Array): Promise<CallbackReply> {
  const reply = await client.putObjectWithCallback('examplebucket', 'a.txt', data, callback, put)
  const body: Buffer = reply.body
  const crc: bigint = BigInt(reply.crc64 ?? 0)
  const json: unknown = reply.json()
  console.log(body, crc, json, reply.text, reply.serverTimeMs)
  await client.putObjectWithCallback('b', 'k', new ArrayBuffer(1), {
    url: 'https://a.example.com/cb',
    sni: true,
  })
  await client.putObjectWithCallback('b', 'k', new DataView(new ArrayBuffer(1)), { policy: 'stored' })
  return reply
}

export function judge(error: unknown): string {
  if (error instanceof CallbackFailedError) {
    const cause: CallbackCause | undefined = error.callbackCause
    const stored: boolean = error.stored
    const kind: 'callback_failed' = error.kind
    return `${stored} ${cause} ${kind} ${error.etag} ${error.callbackStatus}`
  }
  if (error instanceof InvalidArgumentError) {
    return `${error.field}: ${error.hint}`
  }
  if (error instanceof OssCallbackError) {
    const code: ErrorCode = error.code
    return `${code} ${error.ossCode} ${error.retryable} ${error.requestId}`
  }
  throw error
}

const signer = new Signer('id', 'secret', { region: 'cn-hangzhou', product: 'oss', version: 'v4' })
const headers: Record<string, string> = signer.sign('PUT', {
  bucket: 'b',
  key: 'k',
  query: [['acl', null]],
  time: new Date(),
})
const { url, headers: toSend } = signer.presign('GET', {
  bucket: 'b',
  key: 'k',
  expiresIn: 60,
  addressing: 'virtual',
})
const form: Record<string, string> = signer.signPolicy('{}', { time: 0 })
console.log(headers, url, toSend, form, callback.preview({ bucket: 'b', size: 1, 'imageInfo.width': 4 }))

{
  using short = new Client()
  console.log(short.endpoint)
}

// @ts-expect-error: text must be encoded
void client.putObjectWithCallback('b', 'k', 'text', callback)
// @ts-expect-error: a typo
new Client({ regoin: 'cn-hangzhou' })
// @ts-expect-error: not one of the values
new Callback('https://a.example.com', { bodyType: 'xml' })
// @ts-expect-error: a URL must be wrapped
void client.putObjectWithCallback('b', 'k', new Uint8Array(), 'https://a.example.com/cb')
// @ts-expect-error: the life of the URL is missing
signer.presign('GET', { bucket: 'b', key: 'k' })
