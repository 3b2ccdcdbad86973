'use strict'

// Uploads under way: one channel from the library's threads to this event loop, for all of them.

const { setInterval } = require('node:timers')
const native = require('./native.js')

/** What is to be done with the outcome of a call, by its number. */
const pending = new Map()
let last = 0

// The channel itself does not keep the process alive. This does, while calls are under way.
const alive = setInterval(() => {}, 2 ** 31 - 1).unref()

const channel = native.channelNew((number, outcome) => {
  const resolve = pending.get(number)
  pending.delete(number)
  if (pending.size === 0) {
    alive.unref()
  }
  resolve(outcome)
})

/**
 * Gives a promise of the outcome of what `start(channel, number)` starts. If that throws, nothing was
 * started.
 */
function call(start) {
  last += 1
  const number = last
  start(channel, number)
  if (pending.size === 0) {
    alive.ref()
  }
  return new Promise((resolve) => pending.set(number, resolve))
}

module.exports = { call }
