import { Callback, Client } from 'oss-callback'

// Endpoint, region and credentials come from the environment unless they are given here.
const client = new Client()
const callback = new Callback(process.env.CALLBACK_URL, { vars: { order: '42' } })
const data = Buffer.from('Hello OSS')
const reply = await client.putObjectWithCallback('examplebucket', 'hello.txt', data, callback, {
  signal: AbortSignal.timeout(60_000),
})

console.log(reply.text)
