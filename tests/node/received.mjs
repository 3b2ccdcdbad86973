// Callbacks as an application server receives them, for the tests of the verifier.

import assert from 'node:assert/strict'
import { CallbackVerifier, VerificationError } from '../../node/index.mjs'
import { BUCKET, callback, client, DATA, publicKey, rejection } from './bed.mjs'

export const SECRET = 'a secret of more than sixteen bytes'
export const ONE_MINUTE = { secret: SECRET, expiresInMs: 60_000 }
export const V2 = 'https://gosspublic.alicdn.com/callback_pub_key_v2.pem'

/** What OSS sent to the application server for an upload. */
export async function received(asked, key = 'a b/ü.txt', data = DATA) {
  const answer = await client().putObjectWithCallback(BUCKET, key, data, asked)
  const { method, target, headers, body } = answer.json()
  return { method, target, headers, body: Buffer.from(body), reply: answer }
}

export const verify = (verifier, { method, target, headers, body }) =>
  verifier.verify(method, target, headers, body)

export const trusting = (options) => new CallbackVerifier({ trustedKeys: publicKey, ...options })

/** The reason for which a request is refused; its error holds nothing that must not be in a log. */
export async function reason(verifier, request) {
  const error = await rejection(verify(verifier, request))
  assert.ok(error instanceof VerificationError, String(error))
  assert.equal(error.code, 'ERR_OSS_VERIFICATION')
  const [, authorization = 'none'] =
    request.headers.find(([name]) => name.toLowerCase() === 'authorization') ?? []
  assert.ok(!error.message.includes(authorization))
  return error.reason
}

export const ALL =
  'bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&crc64=${crc64}' +
  '&contentMd5=${contentMd5}&vpcId=${vpcId}&clientIp=${clientIp}&reqId=${reqId}&operation=${operation}' +
  '&order=${x:order}'

/** A request that names a key which is not built in. */
export async function byKey(url, headers) {
  const request = await received(callback('/echo'))
  const others = request.headers.filter(([name]) => name.toLowerCase() !== 'x-oss-pub-key-url')
  return { ...request, headers: [...others, ['x-oss-pub-key-url', Buffer.from(url).toString('base64')]] }
}
