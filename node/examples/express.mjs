import express from 'express'
import { CallbackVerifier } from 'oss-callback'
import { receiveCallbacks } from 'oss-callback/express'

const verifier = new CallbackVerifier({
  bucket: 'examplebucket',
  sealSecret: process.env.SEAL_SECRET,
  trustedKeys: process.env.CALLBACK_KEY, // an emulator's; OSS's own if there is none
})

const app = express()
app.post(
  '/oss/uploaded',
  receiveCallbacks(verifier, (event) => ({ key: event.key, order: event.variables.order })),
)
app.use(express.json()) // body parsers below: OSS signs the raw bytes
app.listen(process.env.PORT)
