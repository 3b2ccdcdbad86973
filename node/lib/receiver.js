'use strict'

// What all adapters share: a request's raw body is read, verified, handed to the user's handler, and
// answered. Nothing here knows a framework. Documentation: adapters/shared.d.ts.

const { CallbackAnswer, reply, refusal, failure } = require('./answer.js')
const { isPlain, typeName } = require('./arguments.js')
const { classes, invalid } = require('./errors.js')
const { isVerifier, refuseSize } = require('./verifier.js')

const { NetworkError, TimeoutError, VerificationError } = classes

/** 24 days: `setTimeout` takes no more, and would call at once. A verifier's time may be longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

class Receiver {
  #verifier
  #handler
  #log
  #target

  constructor(verifier, handler, options = {}, log = toConsole) {
    if (!isVerifier(verifier)) {
      throw invalid('verifier', `must be a CallbackVerifier, but is ${typeName(verifier)}`)
    }
    const functions = optionsOf(options)
    checkFunctions({ handler, ...functions })
    this.#verifier = verifier
    this.#handler = handler
    this.#log = functions.log ?? log
    this.#target = functions.target
  }

  /**
   * Gives `{ answer, whole }`, whatever comes: `whole` says whether the body was read to its end.
   *
   * `body` is an async iterable of the raw body, the raw bytes, or undefined when they are gone.
   */
  async receive({ request, method, target, headers, body }) {
    let whole = false
    try {
      const raw = await this.#read(body)
      whole = true
      const signed = this.#target === undefined ? target : this.#target(request)
      const event = await this.#verifier.verify(method, signed, headers, raw)
      const given = await this.#handler(event, request)
      const answer = CallbackAnswer.is(given) ? given : reply(given === undefined ? null : given)
      return { answer, whole }
    } catch (error) {
      void this.#tell(error, request)
      return { answer: isRefusal(error) ? refusal() : failure(), whole }
    }
  }

  async #read(body) {
    if (body === undefined) {
      throw invalid('body', 'was read before it could be verified', PARSED)
    }
    if (typeof body === 'string') {
      return Buffer.from(body, 'utf8')
    }
    if (ArrayBuffer.isView(body)) {
      return body
    }
    return readAll(body, this.#verifier)
  }

  /** Does not wait: OSS does. */
  async #tell(error, request) {
    try {
      await this.#log(error, request)
    } catch (broken) {
      toConsole(broken)
    }
  }
}

const PARSED =
  'Let no body parser run before: mount the callback above it, or leave its path out. Or have the parser ' +
  'keep the raw bytes: `express.json({ verify: (req, res, raw) => { req.rawBody = raw } })`.'

/** Errors of bodies that did not arrive: the sender's fault, as far as one can tell. */
const notArrived = new WeakSet()

function lost(error) {
  notArrived.add(error)
  return error
}

/** All chunks, if they come in time and are not too many. */
async function readAll(chunks, verifier) {
  const iterator = chunks[Symbol.asyncIterator]()
  const limit = verifier.maxBody
  const timeoutMs = Math.min(verifier.bodyTimeoutMs, LONGEST_TIMER_MS)
  let timer
  const late = new Promise((_, reject) => {
    const message = `the body of the callback did not arrive within ${timeoutMs / 1000} s`
    timer = setTimeout(() => reject(lost(new TimeoutError(message))), timeoutMs)
  })
  const next = () => Promise.race([iterator.next(), late])
  const read = []
  let size = 0
  let whole = false
  try {
    for (let step = await next(); !step.done; step = await next()) {
      const chunk = bytesOf(step.value)
      size += chunk.byteLength
      if (size > limit) {
        refuseSize(verifier)
      }
      read.push(chunk)
    }
    whole = true
    return Buffer.concat(read, size)
  } catch (error) {
    throw isRefusal(error)
      ? error
      : lost(new NetworkError('the body of the callback did not arrive whole', { cause: error }))
  } finally {
    clearTimeout(timer)
    if (!whole) {
      // It may wait for a chunk that never comes.
      iterator.return?.()?.catch(() => {})
    }
  }
}

/** Text comes from a stream whose encoding was set. */
function bytesOf(chunk) {
  if (ArrayBuffer.isView(chunk)) {
    return chunk
  }
  return Buffer.from(chunk, 'utf8')
}

const OPTIONS = ['log', 'target']

function optionsOf(options) {
  if (!isPlain(options)) {
    throw invalid('options', 'must be an object of options')
  }
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) {
      throw invalid(
        name,
        'is not an option',
        `There are ${OPTIONS.map((known) => `\`${known}\``).join(', ')}.`,
      )
    }
  }
  return options
}

function checkFunctions({ handler, log, target }) {
  if (typeof handler !== 'function') {
    throw invalid('handler', `must be a function, but is ${typeName(handler)}`)
  }
  for (const [field, value] of Object.entries({ log, target })) {
    if (value !== undefined && typeof value !== 'function') {
      throw invalid(field, `must be a function, but is ${typeName(value)}`)
    }
  }
}

function toConsole(error) {
  if (isRefusal(error)) {
    console.warn(`oss-callback: a callback is refused: ${error.reason ?? error.kind}: ${error.message}`)
  } else {
    console.error('oss-callback: a callback could not be answered:', error)
  }
}

/** Whether the log may take an error for a stranger's doing, and not for a defect of the application. */
function isRefusal(error) {
  return error instanceof VerificationError || notArrived.has(error)
}

module.exports = { Receiver, isRefusal }
