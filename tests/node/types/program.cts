// The same package by require.

import oss = require('oss-callback')
import adapter = require('oss-callback/express')

const { Callback, Client, CallbackFailedError } = oss
const client: oss.Client = new Client({ endpoint: 'http://127.0.0.1:8080', region: 'cn-hangzhou' })

const verifier = new oss.CallbackVerifier({ bucket: 'photos' })
console.log(adapter.receiveCallbacks(verifier, (event) => ({ key: event.key })))

export = async function upload(): Promise<string | undefined> {
  try {
    const callback = new Callback('https://a.example.com/cb')
    const reply: oss.CallbackReply = await client.putObjectWithCallback('b', 'k', Buffer.from('a'), callback)
    return reply.etag
  } catch (error) {
    return error instanceof CallbackFailedError ? error.etag : undefined
  }
}
