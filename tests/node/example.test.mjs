// The programs in node/examples, of which the READMEs show the first.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { text } from 'node:stream/consumers'
import { at, BUCKET, ROOT } from './bed.mjs'

const folder = await mkdtemp(path.join(tmpdir(), 'oss-callback-node-'))
after(() => rm(folder, { recursive: true }))

const example = (name) => path.join(ROOT, 'node/examples', name)

/** Starts an example; what it prints, and how it ends, comes as promises. */
function run(name, args, callbackPath) {
  const env = { ...process.env, CALLBACK_URL: at.APP_URL + callbackPath }
  const child = spawn(process.execPath, [example(name), ...args], { env, timeout: 60_000 })
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { child, ended: ended.then(([out, progress, [status]]) => ({ out, progress, status })) }
}

test('the_example_prints_the_application_servers_answer', async () => {
  const { out } = await run('put_with_callback.mjs', [], '/ok').ended
  assert.equal(out, '{"Status":"OK"}\n')
})

test('the_packages_readme_shows_the_examples', async () => {
  const readme = await readFile(path.join(ROOT, 'node/README.md'), 'utf8')
  for (const name of ['put_with_callback.mjs', 'express.mjs']) {
    const shown = await readFile(example(name), 'utf8')
    assert.ok(readme.includes(`\`\`\`js\n${shown}\`\`\``), name)
  }
})

test('the_example_of_a_large_file_shows_progress_and_goes_on_after_ctrl_c', async () => {
  const file = path.join(folder, 'large.bin')
  await writeFile(file, Buffer.alloc(200 << 20, 'large'))
  const upload = () => run('upload_file.mjs', [file, BUCKET, 'large.bin'], '/ok')
  const stopped = upload()
  await once(stopped.child.stderr, 'data')
  stopped.child.kill('SIGINT')
  const { progress, status } = await stopped.ended
  assert.match(progress, /^0\.0 %, 0 of 25 parts\n/)
  if (process.platform !== 'win32') {
    assert.equal(status, 130)
    assert.match(progress, /goes on from here/)
    assert.ok(existsSync(`${file}.checkpoint`))
  }
  const done = await upload().ended
  assert.equal(done.out, '{"Status":"OK"}\n')
  assert.match(done.progress, /100\.0 %, 25 of 25 parts\n$/)
  assert.ok(!existsSync(`${file}.checkpoint`))
})

test('the_example_of_a_stream_compresses_what_comes_in', async () => {
  const { child, ended } = run('put_stream.mjs', [BUCKET, 'stream.gz'], '/echo')
  child.stdin.end(Buffer.alloc(1 << 20, 'stream'))
  const { out } = await ended
  const [, size] = /^key=stream\.gz&size=(\d+)$/.exec(JSON.parse(out).body)
  assert.ok(size > 1000 && size < 100_000, size)
})
