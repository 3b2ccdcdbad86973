// What the Node.js peers share: the emulator as users start it, and an application server.
//
// Run by `cargo xtask test peers`. By hand: `npm ci` in this folder, then
// `OSS_CALLBACK_CLI=../../target/debug/oss-callback node --test peer_ali_oss.mjs`.

import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const NAMES = ['OSS_ENDPOINT', 'OSS_REGION', 'OSS_ACCESS_KEY_ID', 'OSS_ACCESS_KEY_SECRET']
// Longest time in which the emulator must say where it listens, and in which it must end.
const PATIENCE_MS = 30_000

/** Loads a package from where the test command installed it. */
export const load = createRequire(join(process.env.OSS_CALLBACK_PEERS_NODE ?? here, 'package.json'))

/** Starts `oss-callback serve`; gives the environment that it printed, and `stop()`. */
export async function startEmulator() {
  const cli = process.env.OSS_CALLBACK_CLI ?? join(here, '../../target/debug/oss-callback')
  // Our end of its standard input closes however we end, so that no emulator is left behind.
  const child = spawn(cli, ['serve', '--exit-when-stdin-closes'])
  const exit = once(child, 'exit')
  let log = ''
  child.stderr.on('data', (chunk) => (log += chunk))
  const env = {}
  const timer = setTimeout(() => child.kill(), PATIENCE_MS)
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, value] = /^\s*(?:export )?(\w+)=['"]?(.*?)['"]?$/.exec(line) ?? []
    if (NAMES.includes(name)) env[name] = value
    if (NAMES.every((name) => name in env)) break
  }
  clearTimeout(timer)
  if (!NAMES.every((name) => name in env)) {
    throw new Error(`${cli} serve printed ${Object.keys(env)} only; it said:\n${log}`)
  }
  child.stdout.resume()
  return {
    env,
    log: () => log,
    /** Ends it as a shell would, and gives its exit status. */
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
      const [status] = await exit
      clearTimeout(timer)
      return status
    },
  }
}

/** Answers callbacks with what it saw, and remembers them. `/fail` answers with status 500. */
export async function startAppServer() {
  const requests = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    requests.push({ path: request.url, headers: request.headers, body })
    const answer = JSON.stringify({ Status: 'OK', seen: body })
    response.writeHead(request.url === '/fail' ? 500 : 200, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(answer),
      Connection: 'close',
    })
    response.end(answer)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** The callbacks that name this key, which every test makes up anew. */
    about: (key) => requests.filter(({ body }) => new URLSearchParams(body).get('object') === key),
    async stop() {
      server.close()
      await once(server, 'close')
    },
  }
}
