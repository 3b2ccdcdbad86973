// node put_stream.mjs BUCKET KEY < data
//
// Compresses what comes in while it is sent. Nobody knows the length before the end.

import { createGzip } from 'node:zlib'
import { pipeline } from 'node:stream'
import { Callback, Client } from 'oss-callback'

const [bucket, key] = process.argv.slice(2)

// What goes wrong with the input ends the upload: its error is the `cause` of the SourceError.
const compressed = pipeline(process.stdin, createGzip(), () => {})

const client = new Client()
const callback = new Callback(process.env.CALLBACK_URL, { body: 'key=${object}&size=${size}' })
const reply = await client.putObjectWithCallback(bucket, key, compressed, callback, {
  contentType: 'application/gzip',
})

console.log(reply.text)
