'use strict'

// The two ways of an upload: in one request, and of any size. Both give the outcome that the addon tells.

const { clearTimeout, setTimeout } = require('node:timers')
const { flat, typeName } = require('./arguments.js')
const { call, forget, listen } = require('./calls.js')
const { invalid, take } = require('./errors.js')
const native = require('./native.js')
const { abortable, checkSignal, onAbort } = require('./signals.js')

/** The library gives itself 10 s to remove the parts of an upload that was ended. */
const TIDY_MS = 15_000

/** In one request. An abort ends the call at once. */
async function put(owner, client, object, source, callback, options) {
  const { signal = null, ...rest } = options
  const facts = { object, options: flat('options', rest), length: source.length }
  return abortable(signal, (cancel) =>
    call(owner, (channel, number) => {
      take(native.clientPut(channel, number, client, facts, source.given, callback, cancel))
      source.begin()
    }),
  )
}

/**
 * Of any size. Whoever ends it, by a signal or by throwing, is told once things are in order: the
 * checkpoint is written then, or the parts are removed.
 */
async function upload(owner, client, object, source, callback, options) {
  const { signal = null, onProgress, ...rest } = options
  const facts = { object, options: flat('options', rest), length: source.length }
  checkSignal(signal)
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalid('onProgress', `must be a function, but is ${typeName(onProgress)}`)
  }
  const ending = new Ending(signal)
  const watching = onProgress && listen((progress) => ending.watch(onProgress, progress))
  try {
    const { cancel } = ending
    const running = call(owner, (channel, number) => {
      const { given } = source
      take(native.clientUpload(channel, number, client, facts, given, callback, cancel, watching))
      source.begin()
    })
    return ending.judge(await Promise.race([running, ending.overdue]))
  } finally {
    forget(watching)
    ending.forget()
  }
}

/** Why an upload is ended before its time, if it is. */
class Ending {
  cancel = native.cancelNew()
  #thrown
  #signal
  #timer
  #forgetSignal = () => {}
  #overdue

  constructor(signal) {
    this.#signal = signal
    /** Resolves when the library takes too long about ending it. */
    this.overdue = new Promise((resolve) => (this.#overdue = resolve))
    if (signal !== null) {
      this.#forgetSignal = onAbort(signal, () => this.#end())
    }
  }

  /** Tells the user's function, whose failure ends the upload. */
  watch(onProgress, progress) {
    if (this.#thrown !== undefined) {
      return
    }
    const fail = (error) => {
      this.#thrown ??= { error }
      this.#end()
    }
    try {
      const { bytesDone, bytesTotal, partsDone, partsTotal } = progress
      const result = onProgress({ bytesDone, bytesTotal, partsDone, partsTotal })
      if (typeof result?.then === 'function') {
        result.then(undefined, fail)
      }
    } catch (error) {
      fail(error)
    }
  }

  #end() {
    native.cancel(this.cancel)
    this.#timer ??= setTimeout(this.#overdue, TIDY_MS, { failed: true, kind: 'cancelled' })
  }

  /** The outcome, unless the reason of the end is to be told in its place. */
  judge(outcome) {
    // An upload that was complete by then, or failed by itself, has an outcome that must not be lost.
    if (!outcome.failed || outcome.kind !== 'cancelled') {
      return outcome
    }
    if (this.#thrown !== undefined) {
      throw this.#thrown.error
    }
    if (this.#signal?.aborted) {
      throw this.#signal.reason
    }
    return outcome
  }

  forget() {
    clearTimeout(this.#timer)
    this.#forgetSignal()
  }
}

module.exports = { put, upload }
