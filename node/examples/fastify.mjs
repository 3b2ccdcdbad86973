import Fastify from 'fastify'
import { CallbackVerifier } from 'oss-callback'
import { receiveCallbacks } from 'oss-callback/fastify'

const verifier = new CallbackVerifier({
  bucket: 'examplebucket',
  sealSecret: process.env.SEAL_SECRET,
  trustedKeys: process.env.CALLBACK_KEY, // an emulator's; OSS's own if there is none
})
const uploaded = (event) => ({ key: event.key, order: event.variables.order })

const app = Fastify({ logger: { level: 'warn' } })
app.register(receiveCallbacks(verifier, uploaded, { path: '/oss/uploaded' }))
await app.listen({ port: process.env.PORT, host: process.env.HOST })
