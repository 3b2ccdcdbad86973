// What an application server hands to a browser that uploads straight to OSS: a signed URL or a signed form.

import { randomUUID } from 'node:crypto'
import { Callback, Signer } from 'oss-callback'

const bucket = 'examplebucket'
const holdsFor = 15 * 60_000 // Milliseconds. Within it an upload must begin,
const lastsFor = 60 * 60_000 // and then it may take so long.

const { OSS_ACCESS_KEY_ID: id, OSS_ACCESS_KEY_SECRET: secret } = process.env
const signer = new Signer(id, secret, {
  securityToken: process.env.OSS_SESSION_TOKEN,
  region: process.env.OSS_REGION,
})
const endpoint = process.env.OSS_ENDPOINT // The region's, if there is none.

function callbackOf(user, key) {
  const seal = { secret: process.env.SEAL_SECRET, expiresInMs: holdsFor + lastsFor }
  return new Callback(process.env.CALLBACK_URL, { vars: { user }, seal }).sealedFor(bucket, key)
}

function signedUrl(user, key, contentType) {
  const { encoded, encodedVars } = callbackOf(user, key)
  const headers = { 'Content-Type': contentType, 'x-oss-callback': encoded, 'x-oss-callback-var': encodedVars }
  return signer.presign('PUT', { endpoint, bucket, key, headers, expiresInMs: holdsFor })
}

function signedForm(user, key) {
  const callback = callbackOf(user, key)
  const time = new Date()
  const conditions = [
    { bucket },
    { key },
    { callback: callback.encoded }, // Without it the browser could send another one, or none.
    ['content-length-range', 1, 100 << 20],
    ...Object.entries(signer.policyConditions({ time })).map(([name, value]) => ({ [name]: value })),
  ]
  const expiration = new Date(time.getTime() + holdsFor).toISOString()
  const signed = signer.signPolicy(JSON.stringify({ expiration, conditions }), { time })
  // A form goes to the bucket itself, whose address every URL of it begins with.
  const { url } = signer.presign('POST', { endpoint, bucket, expiresInMs: holdsFor })
  return { url: url.split('?')[0], fields: { key, callback: callback.encoded, ...callback.vars, ...signed } }
}

// The key is the server's choice: whoever could name it could overwrite what others have uploaded.
const key = `uploads/${randomUUID()}.jpg`
const { method, url, headers } = signedUrl('alice', key, 'image/jpeg')
console.log(JSON.stringify({ put: { method, url, headers }, form: signedForm('alice', key) }))
