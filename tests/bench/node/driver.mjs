// The driver for Node.js: `driver.mjs WHO WORKLOAD name=value...` prints one line of JSON.
//
// WHO is ours (`node`) or a peer. What is measured leaves out start-up, the making of clients and a warm-up;
// CPU time is that of all threads. Packages come from the folder `modules=`.

import { createRequire } from 'node:module'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { Readable } from 'node:stream'

const KEY_ID = 'LTAI5tExampleKeyId0001'
const SECRET = 'ExampleSecretKey/for+tests=0001'
const BUCKET = 'examplebucket'
const REGION = 'cn-hangzhou'
const CALLBACK_URL = 'http://app.example.com/oss/cb'
const CALLBACK_BODY =
  'bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&u=${x:uid}'
const KEY = 'exampledir/exampleobject.txt'

const [who, workload, ...rest] = process.argv.slice(2)
const given = Object.fromEntries(rest.map((word) => word.split(/=(.*)/s).slice(0, 2)))
const require = createRequire(path.join(given.modules, 'package.json'))
const { endpoint } = given
const ways = Number(given.ways ?? 1)
const size = Number(given.size ?? 4096)
const part = Number(given.part ?? 8 << 20)
const once = given.once === '1'
const operations = Number(given.n ?? 0)
const seconds = Number(given.seconds ?? 1)
const warmSeconds = Number(given.warm_seconds ?? 0)
const data = Buffer.alloc(size, 0x5a)

/** Starts to measure; the function that it returns ends it and prints. */
function measured() {
  const idle = process.resourceUsage().maxRSS
  const before = process.cpuUsage()
  const start = process.hrtime.bigint()
  return (ops, bytes) => {
    const elapsed = Number(process.hrtime.bigint() - start) / 1e9
    const { user, system } = process.cpuUsage(before)
    const peak = process.resourceUsage().maxRSS
    const cpu = (user + system) / 1e6
    console.log(JSON.stringify({ ops, bytes, seconds: elapsed, cpu, idle_kib: idle, peak_kib: peak }))
  }
}

/** `ways` chains of uploads side by side. */
async function puts(put) {
  const chain = async (worker, goesOn) => {
    let done = 0
    while (goesOn(done)) {
      await put(`k/${worker}-${done}`)
      done += 1
    }
    return done
  }
  const all = async (goesOn) => {
    const counts = await Promise.all(Array.from({ length: ways }, (_, worker) => chain(worker, goesOn)))
    return counts.reduce((sum, count) => sum + count, 0)
  }
  if (!once) {
    const until = performance.now() + warmSeconds * 1000
    await all(warmSeconds > 0 ? () => performance.now() < until : (done) => done < 4)
  }
  const end = measured()
  const deadline = performance.now() + seconds * 1000
  const share = once ? 1 : Math.floor(operations / ways)
  const done = await all(share > 0 ? (count) => count < share : () => performance.now() < deadline)
  end(done, done * size)
}

function repeated(step) {
  for (let i = 0; i < 2000; i++) {
    step()
  }
  const end = measured()
  const deadline = performance.now() + seconds * 1000
  let done = 0
  while (operations > 0 ? done < operations : performance.now() < deadline) {
    step()
    done += 1
  }
  end(done, 0)
}

async function fileUpload(upload, warm) {
  await warm()
  const end = measured()
  await upload(given.file)
  end(1, fs.statSync(given.file).size)
}

function encoded(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64')
}

function unknown() {
  throw new Error(`${who} has no workload ${workload}`)
}

async function ours() {
  const { Callback, Client, Signer } = require('oss-callback')
  const callback = () => new Callback(CALLBACK_URL, { body: CALLBACK_BODY, vars: { uid: '12345' } })
  const made = callback()
  if (['sign-v4', 'sign-v1', 'presign'].includes(workload)) {
    const version = workload === 'sign-v1' ? 'v1' : 'v4'
    const signer = new Signer(KEY_ID, SECRET, { region: REGION, version })
    const headers = { 'content-type': 'text/plain', 'x-oss-callback': made.encoded }
    const at = 'https://oss-cn-hangzhou.aliyuncs.com'
    return workload === 'presign'
      ? repeated(() => signer.presign('PUT', { endpoint: at, bucket: BUCKET, key: KEY, expiresInMs: 3_600_000 }))
      : repeated(() => signer.sign('PUT', { bucket: BUCKET, key: KEY, headers }))
  }
  if (workload === 'encode') {
    return repeated(callback)
  }
  const client = new Client({
    endpoint,
    region: REGION,
    proxy: 'none',
    accessKeyId: KEY_ID,
    accessKeySecret: SECRET,
    ...(given.ca && { caCertificates: fs.readFileSync(given.ca, 'utf8') }),
  })
  if (workload === 'put') {
    return puts((key) => client.putObjectWithCallback(BUCKET, key, data, made))
  }
  const options = { threshold: 0, partSize: part, parallel: ways }
  const uploads = {
    'put-file': (file) => client.putObjectWithCallback(BUCKET, 'k', { path: file }, made),
    multipart: (file) => client.uploadFileWithCallback(BUCKET, 'k', { path: file }, made, options),
    stream: (file) => {
      const stream = fs.createReadStream(file, { highWaterMark: 256 << 10 })
      return client.putObjectWithCallback(BUCKET, 'k', stream, made)
    },
  }
  // As a stream: bytes in memory would go by the event loop, on a connection of its own.
  const warm = () => Readable.from([Buffer.from('x')])
  return fileUpload(uploads[workload], () =>
    client.putObjectWithCallback(BUCKET, 'warm', warm(), made, { length: 1 }),
  )
}

async function aliOss() {
  const OSS = require('ali-oss')
  const Agent = require('agentkeepalive')
  const options = { keepAlive: true, maxSockets: 64 }
  const client = new OSS({
    accessKeyId: KEY_ID,
    accessKeySecret: SECRET,
    bucket: BUCKET,
    endpoint: endpoint ?? 'https://oss-cn-hangzhou.aliyuncs.com',
    region: 'oss-cn-hangzhou',
    cname: endpoint !== undefined,
    authorizationV4: workload !== 'sign-v1',
    agent: new Agent(options),
    httpsAgent: new Agent.HttpsAgent({
      ...options,
      // It asks for the bucket's name at OSS, whatever the endpoint.
      ...(given.ca && { ca: fs.readFileSync(given.ca), checkServerIdentity: () => undefined }),
    }),
    timeout: 600_000,
  })
  const callback = {
    url: CALLBACK_URL,
    body: CALLBACK_BODY,
    contentType: 'application/x-www-form-urlencoded',
    customValue: { uid: '12345' },
  }
  const headers = { 'x-oss-callback': encoded({ callbackUrl: CALLBACK_URL, callbackBody: CALLBACK_BODY }) }
  switch (workload) {
    case 'sign-v4':
      return repeated(() => {
        const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
        const send = { ...headers, 'x-oss-date': date, 'x-oss-content-sha256': 'UNSIGNED-PAYLOAD' }
        client.authorizationV4('PUT', { headers: send, queries: {} }, BUCKET, KEY, [])
      })
    case 'sign-v1':
      return repeated(() => {
        const send = { ...headers, 'x-oss-date': new Date().toUTCString() }
        client.authorization('PUT', `/${BUCKET}/${KEY}`, undefined, send)
      })
    case 'presign':
      return repeated(() => client.signatureUrl(KEY, { method: 'PUT', expires: 3600 }))
    case 'put':
      return puts((key) => client.put(key, data, { callback }))
    case 'put-file':
      return fileUpload(
        (file) => client.put('k', file, { callback }),
        () => client.put('w', Buffer.from('x')),
      )
    case 'multipart':
      return fileUpload(
        (file) => client.multipartUpload('k', file, { parallel: ways, partSize: part, callback }),
        () => client.put('w', Buffer.from('x')),
      )
    default:
      return unknown()
  }
}

async function opendal() {
  const { Operator } = require('opendal')
  const operator = new Operator('oss', {
    bucket: BUCKET,
    endpoint,
    access_key_id: KEY_ID,
    access_key_secret: SECRET,
    addressing_style: 'path',
    region: REGION,
  })
  const warm = () => operator.write('w', Buffer.from('x'))
  switch (workload) {
    case 'put':
      return puts((key) => operator.write(key, data))
    case 'put-file':
      return fileUpload((file) => operator.write('k', fs.readFileSync(file)), warm)
    case 'multipart':
      return fileUpload(async (file) => {
        const writer = await operator.writer('k', { chunk: BigInt(part), concurrent: ways })
        const source = await fs.promises.open(file)
        for (;;) {
          const buffer = Buffer.allocUnsafe(part)
          const { bytesRead } = await source.read(buffer, 0, part, null)
          if (bytesRead === 0) {
            break
          }
          await writer.write(bytesRead === part ? buffer : buffer.subarray(0, bytesRead))
        }
        await writer.close()
        await source.close()
      }, warm)
    default:
      return unknown()
  }
}

const drivers = { node: ours, 'ali-oss': aliOss, 'js-opendal': opendal }
if (workload === 'import') {
  const names = { node: 'oss-callback', 'ali-oss': 'ali-oss', 'js-opendal': 'opendal' }
  if (names[who] !== undefined) {
    require(names[who])
  }
} else {
  await drivers[who]()
}
process.exit(0)
