// node upload_file.mjs FILE BUCKET [KEY]
//
// A file of any size, with its progress as an event. Ended by Ctrl-C, it goes on there the next time.

import { EventEmitter } from 'node:events'
import path from 'node:path'
import { Callback, Client } from 'oss-callback'

const [file, bucket, key = path.basename(file)] = process.argv.slice(2)

const events = new EventEmitter()
events.on('progress', ({ bytesDone, bytesTotal, partsDone, partsTotal }) => {
  const parts = partsTotal === undefined ? '' : `, ${partsDone} of ${partsTotal} parts`
  console.error(`${((100 * bytesDone) / (bytesTotal || 1)).toFixed(1)} %${parts}`)
})

const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

// Endpoint, region and credentials come from the environment unless they are given here.
const client = new Client()
const callback = new Callback(process.env.CALLBACK_URL)
try {
  const reply = await client.uploadFileWithCallback(bucket, key, { path: file }, callback, {
    checkpoint: `${file}.checkpoint`,
    onProgress: (progress) => events.emit('progress', progress),
    signal: stop.signal,
  })
  console.log(reply.text)
} catch (error) {
  if (error !== stop.signal.reason) {
    throw error
  }
  console.error('Stopped. The same command goes on from here.')
  process.exitCode = 130
}
