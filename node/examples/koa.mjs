import Koa from 'koa'
import { CallbackVerifier } from 'oss-callback'
import { receiveCallbacks } from 'oss-callback/koa'

const verifier = new CallbackVerifier({
  bucket: 'examplebucket',
  sealSecret: process.env.SEAL_SECRET,
  trustedKeys: process.env.CALLBACK_KEY, // an emulator's; OSS's own if there is none
})
const uploaded = receiveCallbacks(verifier, (event) => ({ key: event.key, order: event.variables.order }))

const app = new Koa()
app.use((ctx, next) => (ctx.path === '/oss/uploaded' ? uploaded(ctx) : next()))
app.listen(process.env.PORT)
