// A program as a user would write it, for tsc. It is compiled, not run.

import { createReadStream, openAsBlob } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import {
  Callback,
  CallbackFailedError,
  Client,
  InvalidArgumentError,
  OssCallbackError,
  Signer,
  SourceError,
  type CallbackCause,
  type CallbackReply,
  type ClientOptions,
  type Credentials,
  type ErrorCode,
  type Progress,
  type PutObjectOptions,
  type Source,
  type UploadFileOptions,
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

export async function uploadAll(generate: () => AsyncGenerator<Uint8Array>): Promise<void> {
  const { body } = await fetch('https://example.com/')
  const sources: Source[] = [
    { path: 'film.mp4' },
    { path: pathToFileURL('film.mp4') },
    new URL('file:///film.mp4'),
    await open('film.mp4'),
    createReadStream('film.mp4'),
    Readable.from([]),
    Readable.toWeb(Readable.from([])),
    new ReadableStream<Uint8Array>(),
    ...(body === null ? [] : [body]),
    await openAsBlob('film.mp4'),
    new Blob(['a']),
    [Buffer.from('a'), new Uint8Array(1)],
    generate(),
  ]
  const large: UploadFileOptions = {
    ...put,
    partSize: 16 << 20,
    parallel: 8,
    checkpoint: 'film.mp4.checkpoint',
    onProgress({ bytesDone, bytesTotal }: Progress) {
      const share: number = bytesTotal === undefined ? 0 : bytesDone / bytesTotal
      console.log(share)
    },
  }
  for (const source of sources) {
    await client.putObjectWithCallback('b', 'k', source, callback, { length: 5n })
    await client.uploadFileWithCallback('b', 'k', source, callback, large)
  }
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
  if (error instanceof SourceError) {
    return String(error.cause)
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
  expiresInMs: 60_000,
  addressing: 'virtual',
})
const form: Record<string, string> = signer.signPolicy('{}', { time: 0 })
console.log(headers, url, toSend, form, callback.preview({ bucket: 'b', size: 1, 'imageInfo.width': 4 }))

{
  using short = new Client()
  console.log(short.endpoint)
}

const provided: Credentials = { accessKeyId: 'id', accessKeySecret: 'secret', expiresAt: new Date() }
new Client({ credentialsProvider: async () => provided })
new Client({ credentialsProvider: () => ({ ...provided, securityToken: 'token', expiresAt: 1.9e9 }) })

// @ts-expect-error: a Response is no source, its body is
void client.putObjectWithCallback('b', 'k', await fetch('https://example.com/'), callback)
// @ts-expect-error: an option of uploadFileWithCallback
void client.putObjectWithCallback('b', 'k', new Uint8Array(), callback, { partSize: 1 << 20 })
// @ts-expect-error: the secret is missing
new Client({ credentialsProvider: () => ({ accessKeyId: 'id' }) })
// @ts-expect-error: text must be encoded
void client.putObjectWithCallback('b', 'k', 'text', callback)
// @ts-expect-error: a typo
new Client({ regoin: 'cn-hangzhou' })
// @ts-expect-error: not one of the values
new Callback('https://a.example.com', { bodyType: 'xml' })
// @ts-expect-error: a URL must be wrapped
void client.putObjectWithCallback('b', 'k', new Uint8Array(), 'https://a.example.com/cb')
// @ts-expect-error: seconds
signer.presign('GET', { bucket: 'b', key: 'k', expiresIn: 60 })
// @ts-expect-error: the life of the URL is missing
signer.presign('GET', { bucket: 'b', key: 'k' })
