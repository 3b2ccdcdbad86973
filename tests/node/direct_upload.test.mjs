// Uploads without the library at the sender's side: by the signed URL and the form of
// node/examples/direct_upload.mjs, with fetch and FormData, as a page makes them.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { CallbackVerifier } from '../../node/index.mjs'
import { at, BUCKET, publicKey, ROOT } from './bed.mjs'

const SECRET = '0123456789abcdef0123456789abcdef'
const DATA = 'not really a picture'
const verifier = new CallbackVerifier({ bucket: BUCKET, sealSecret: SECRET, trustedKeys: publicKey })

/** What the example gives to the page. */
async function handedOut(callbackPath) {
  const env = { ...process.env, SEAL_SECRET: SECRET, CALLBACK_URL: at.APP_URL + callbackPath }
  const example = path.join(ROOT, 'node/examples/direct_upload.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [example], { env })
  return JSON.parse(stdout)
}

const put = ({ method, url, headers }) => fetch(url, { method, headers, body: DATA })

function post({ url, fields }) {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) {
    form.append(name, value)
  }
  // Last: OSS ignores what follows it.
  form.append('file', new Blob([DATA], { type: 'image/jpeg' }), 'a.jpg')
  return fetch(url, { method: 'POST', body: form })
}

/** The application server of the tests answers with what it was sent. */
function received(seen) {
  return verifier.verify(seen.method, seen.target, seen.headers.flat(), Buffer.from(seen.body))
}

test('a_page_gets_the_answer_and_the_server_a_sealed_callback', async () => {
  const given = await handedOut('/echo')
  for (const response of [await put(given.put), await post(given.form)]) {
    assert.equal(response.status, 200)
    const event = await received(await response.json())
    assert.equal(event.key, given.form.fields.key)
    assert.equal(event.variables.user, 'alice')
    assert.equal(event.mimeType, 'image/jpeg')
  }
})

test('what_a_page_leaves_out_or_changes_is_refused_or_breaks_the_seal', async () => {
  const { put: url, form } = await handedOut('/echo')
  const { 'x-oss-callback': _, ...headers } = url.headers
  const without = await put({ ...url, headers })
  assert.equal(without.status, 403)
  assert.match(await without.text(), /SignatureDoesNotMatch/)
  const other = await post({ ...form, fields: { ...form.fields, callback: 'e30=' } })
  assert.equal(other.status, 403)
  assert.match(await other.text(), /Policy Condition failed/)
  const mallory = await post({ ...form, fields: { ...form.fields, 'x:user': 'mallory' } })
  await assert.rejects(received(await mallory.json()), { reason: 'seal_wrong' })
})

test('status_203_tells_a_page_that_the_object_is_stored_and_the_callback_failed', async () => {
  const given = await handedOut('/status/500')
  for (const response of [await put(given.put), await post(given.form)]) {
    assert.equal(response.status, 203)
    assert.match(await response.text(), /<Code>CallbackFailed<\/Code>/)
  }
})
