import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { CallbackVerifier } from 'oss-callback'
import { receiveCallbacks } from 'oss-callback/web'

const verifier = new CallbackVerifier({
  bucket: 'examplebucket',
  sealSecret: process.env.SEAL_SECRET,
  trustedKeys: process.env.CALLBACK_KEY, // an emulator's; OSS's own if there is none
})
const uploaded = receiveCallbacks(verifier, (event) => ({ key: event.key, order: event.variables.order }))

const app = new Hono()
app.post('/oss/uploaded', (c) => uploaded(c.req.raw))
serve({ fetch: app.fetch, port: Number(process.env.PORT) })
