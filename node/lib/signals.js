'use strict'

// AbortSignals, which the addon knows nothing of.

const { typeName } = require('./arguments.js')
const { invalid } = require('./errors.js')
const native = require('./native.js')

/** For each signal in use, the one listener of ours, and what it is to do. */
const listening = new WeakMap()

/** Refuses what is no signal, and throws the reason of one that is aborted. `null` is none. */
function checkSignal(signal) {
  if (signal === null) {
    return
  }
  if (typeof signal?.addEventListener !== 'function' || typeof signal.aborted !== 'boolean') {
    throw invalid('signal', `must be an AbortSignal, but is ${typeName(signal)}`)
  }
  signal.throwIfAborted()
}

/**
 * Has `abort` called when `signal` is aborted, until the function that it returns is called. However many
 * calls share a signal, it has one listener of ours: Node takes many for a leak, and warns.
 */
function onAbort(signal, abort) {
  let entry = listening.get(signal)
  if (entry === undefined) {
    const calls = new Set()
    const listener = () => calls.forEach((call) => call())
    entry = { calls, listener }
    listening.set(signal, entry)
    signal.addEventListener('abort', listener, { once: true })
  }
  entry.calls.add(abort)
  return () => {
    entry.calls.delete(abort)
    if (entry.calls.size === 0 && listening.get(signal) === entry) {
      listening.delete(signal)
      signal.removeEventListener('abort', entry.listener)
    }
  }
}

/**
 * Runs what `start(cancel)` starts until it ends or `signal` is aborted, whichever is first. Without a signal
 * (`null`) there is no token to cancel it by.
 */
function abortable(signal, start) {
  checkSignal(signal)
  if (signal === null) {
    return start()
  }
  const cancel = native.cancelNew()
  return new Promise((resolve, reject) => {
    // Before the start, in which the source's own code may abort it.
    const forget = onAbort(signal, () => {
      native.cancel(cancel)
      reject(signal.reason)
    })
    const running = new Promise((started) => started(start(cancel)))
    running.then(resolve, reject).finally(forget)
  })
}

module.exports = { abortable, checkSignal, onAbort }
