// `ali-oss`, the official Node.js client, with signatures V1 and V4.

import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { request } from 'node:http'
import { after, before, describe, test } from 'node:test'

import { load, startAppServer, startEmulator } from './harness.mjs'

const OSS = load('ali-oss')
const BUCKET = 'examplebucket'
// OSS takes no smaller part, but for the last.
const PART_SIZE = 100 * 1024
const FORM = 'bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mime=${mimeType}&order=${x:order}'
const AWKWARD_KEYS = ['a b/ü/中文.txt', 'plus+and%25percent', 'q?x=1&y=2#z', 'x//y', "quote'(*)!~"]

let emulator
let app

before(async () => {
  emulator = await startEmulator()
  app = await startAppServer()
})

after(async () => {
  await app?.stop()
  if (emulator) assert.equal(await emulator.stop(), 0, 'the emulator ended badly')
})

function client(version, secret = emulator.env.OSS_ACCESS_KEY_SECRET) {
  const { port } = new URL(emulator.env.OSS_ENDPOINT)
  return new OSS({
    // An IP address makes ali-oss send a made-up Host, and refuse to sign URLs; a host name with
    // second-level domains off gives path style.
    endpoint: `http://localhost:${port}`,
    sldEnable: true,
    region: `oss-${emulator.env.OSS_REGION}`,
    bucket: BUCKET,
    accessKeyId: emulator.env.OSS_ACCESS_KEY_ID,
    accessKeySecret: secret,
    authorizationV4: version === 'v4',
  })
}

const callback = (path = '/callback') => ({
  url: app.url + path,
  body: FORM,
  contentType: 'application/x-www-form-urlencoded',
  customValue: { order: '42 & 43' },
})

/** The same as a query, Base64 of JSON, as signed URLs carry it. */
function callbackQuery() {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64')
  const { url, body, contentType } = callback()
  return {
    callback: encode({ callbackUrl: url, callbackBody: body, callbackBodyType: contentType }),
    'callback-var': encode({ 'x:order': '42 & 43' }),
  }
}

function signedUrl(oss, version, key) {
  if (version === 'v1') return oss.signatureUrl(key, { method: 'PUT', expires: 60, callback: callback() })
  return oss.signatureUrlV4('PUT', 60, { queries: callbackQuery() }, key)
}

/** PUTs without any header of its own (`fetch` would add a Content-Type to some bodies). */
function put(url, data) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'PUT', headers: { 'Content-Length': data.length } }, async (answer) => {
      let body = ''
      for await (const chunk of answer) body += chunk
      resolve({ status: answer.statusCode, body })
    })
    sent.on('error', reject)
    sent.end(data)
  })
}

const newKey = () => `exampledir/${randomUUID()}.txt`

async function stored(key) {
  try {
    return (await client('v4').get(key)).content
  } catch (error) {
    if (error.code === 'NoSuchKey') return null
    throw error
  }
}

/** The application server saw this object once, signed, and its answer is what the uploader got. */
async function assertCalledOnce(key, data, answer) {
  const seen = app.about(key)
  assert.equal(seen.length, 1)
  const [{ body, headers }] = seen
  assert.deepEqual(answer, { Status: 'OK', seen: body })
  const fields = new URLSearchParams(body)
  assert.equal(fields.get('bucket'), BUCKET)
  assert.equal(fields.get('size'), String(data.length))
  assert.equal(fields.get('order'), '42 & 43')
  assert.ok(headers.authorization)
  assert.match(Buffer.from(headers['x-oss-pub-key-url'], 'base64').toString(), /^http/)
  assert.deepEqual(await stored(key), data)
  return fields
}

for (const version of ['v1', 'v4']) {
  describe(`ali-oss ${version}`, () => {
    test("a put brings the application server's answer back", async () => {
      const [key, data] = [newKey(), Buffer.from('Hello OSS')]
      const result = await client(version).put(key, data, { callback: callback() })
      assert.equal(result.res.status, 200)
      const fields = await assertCalledOnce(key, data, result.data)
      assert.equal(fields.get('etag'), createHash('md5').update(data).digest('hex').toUpperCase())
      assert.equal(fields.get('mime'), 'text/plain')
    })

    for (const awkward of AWKWARD_KEYS) {
      test(`the awkward key ${awkward} arrives as it is`, async () => {
        const [key, data] = [`${randomUUID()}/${awkward}`, Buffer.from('x')]
        const result = await client(version).put(key, data, { callback: callback() })
        await assertCalledOnce(key, data, result.data)
      })
    }

    test('a presigned put fires the callback in its query', async () => {
      const [key, data] = [newKey(), Buffer.from('Hello OSS')]
      const { status, body } = await put(await signedUrl(client(version), version, key), data)
      assert.equal(status, 200, body)
      await assertCalledOnce(key, data, JSON.parse(body))
    })

    test('a wrong secret is refused before anything happens', async () => {
      const [key, wrong] = [newKey(), client(version, `${emulator.env.OSS_ACCESS_KEY_SECRET}x`)]
      const refused = { status: 403, code: 'SignatureDoesNotMatch' }
      await assert.rejects(wrong.put(key, Buffer.from('x'), { callback: callback() }), refused)
      assert.equal((await put(await signedUrl(wrong, version, key), Buffer.from('x'))).status, 403)
      assert.equal(await stored(key), null)
      assert.equal(app.about(key).length, 0)
    })

    test('a malformed callback is refused and nothing is stored', async () => {
      const key = newKey()
      const headers = { 'x-oss-callback': '%not-base64%' }
      const refused = { status: 400, code: 'InvalidArgument', ecCode: '0007-00000002' }
      await assert.rejects(client(version).put(key, Buffer.from('x'), { headers }), refused)
      assert.equal(await stored(key), null)
    })

    test('a failed callback is an error and the object is stored', async () => {
      const key = newKey()
      const failed = { status: 203, code: 'CallbackFailed' }
      await assert.rejects(client(version).put(key, Buffer.from('x'), { callback: callback('/fail') }), failed)
      assert.deepEqual(await stored(key), Buffer.from('x'))
    })

    test('a multipart upload calls back on complete', async () => {
      const [key, data] = [newKey(), randomBytes(3 * PART_SIZE + 1)]
      const options = { partSize: PART_SIZE, parallel: 2, callback: callback() }
      const result = await client(version).multipartUpload(key, data, options)
      await assertCalledOnce(key, data, result.data)
    })
  })
}
