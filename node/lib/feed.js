'use strict'

// A stream on its way into an upload: chunks are pulled only while there is room for them, so that a fast
// source never piles up in memory, and copied into the addon's pipe at once.

const { setImmediate } = require('node:timers/promises')
const { isAnyArrayBuffer } = require('node:util/types')
const { bytes, typeName } = require('./arguments.js')
const { channel, forget, listen } = require('./calls.js')
const { textOf } = require('./errors.js')
const native = require('./native.js')

/** After so many chunks others have their turn, should the source always have the next one ready. */
const CHUNKS_IN_A_ROW = 256

class Feed {
  #chunks
  #number
  #wake = () => {}
  #ended = false
  #failure

  constructor(chunks, length) {
    this.#chunks = chunks
    this.length = length
    this.#number = listen(() => this.#wake())
    this.given = native.pipeNew(channel, this.#number)
  }

  /** Starts to read. */
  begin() {
    void this.#run()
  }

  /** The upload has ended: lets go of the source, and stops it unless it has come to its end. */
  close() {
    forget(this.#number)
    native.pipeClose(this.given)
    this.#stop()
    this.#wake()
  }

  /** What the source threw, if the failure of the call tells of it. */
  causeOf(kind) {
    return kind === 'source' ? this.#failure?.error : undefined
  }

  async #run() {
    try {
      for (let count = 1; !this.#ended; count += 1) {
        const { done, value } = await this.#chunks.next()
        if (done && !this.#ended) {
          this.#ended = true
          native.pipeEnd(this.given)
        } else if (!this.#ended) {
          await this.#push(chunkBytes(value, count))
        }
        if (count % CHUNKS_IN_A_ROW === 0) {
          await setImmediate()
        }
      }
    } catch (error) {
      if (!this.#ended) {
        this.#failure = { error }
        native.pipeFail(this.given, textOf(error))
        this.#stop()
      }
    }
  }

  async #push(rest) {
    while (rest.byteLength > 0 && !this.#ended) {
      const taken = native.pipePush(this.given, rest)
      if (taken < 0) {
        // Nobody reads any more: the call is about to end.
        this.#stop()
        return
      }
      rest = rest.subarray(taken)
      if (rest.byteLength > 0) {
        // It cannot be woken before this turn of the event loop has ended.
        await new Promise((resolve) => (this.#wake = resolve))
      }
    }
  }

  #stop() {
    if (!this.#ended) {
      this.#ended = true
      void quietly(() => this.#chunks.stop())
    }
  }
}

async function quietly(body) {
  try {
    await body()
  } catch {
    // The call has its outcome, and this would not change it.
  }
}

function chunkBytes(chunk, count) {
  if (typeof chunk === 'number') {
    // What somebody gets who spreads a buffer, or passes an array of numbers.
    throw new TypeError(`chunk ${count} is a number; give whole chunks, such as \`Buffer.from(numbers)\``)
  }
  if (typeof chunk === 'string') {
    const hint = 'encode it by `Buffer.from(text)`, and do not call `setEncoding` on a stream'
    throw new TypeError(`chunk ${count} is a string; ${hint}`)
  }
  if (!ArrayBuffer.isView(chunk) && !isAnyArrayBuffer(chunk)) {
    throw new TypeError(`chunk ${count} is ${typeName(chunk)}; give Buffers or other views of bytes`)
  }
  return bytes(`chunk ${count}`, chunk)
}

module.exports = { Feed }
