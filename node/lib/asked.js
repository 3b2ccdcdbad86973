'use strict'

// Questions under way on behalf of the receiving side: one channel from the library's threads to this event
// loop, for all of them. Made when the first one is asked.

const { setInterval } = require('node:timers')
const native = require('./native.js')

/** What is to be done with the answer to a question, by its number. */
const pending = new Map()
let last = 0
let channel
let alive

function open() {
  // The channel itself does not keep the process alive. This does, while questions are under way.
  alive = setInterval(() => {}, 2 ** 31 - 1).unref()
  channel = native.askedChannelNew((number, outcome) => {
    const resolve = pending.get(number)
    pending.delete(number)
    if (pending.size === 0) {
      alive.unref()
    }
    resolve(outcome)
  })
}

/** As `call` of calls.js. */
function ask(start) {
  if (channel === undefined) {
    open()
  }
  last += 1
  const number = last
  start(channel, number)
  if (pending.size === 0) {
    alive.ref()
  }
  return new Promise((resolve) => pending.set(number, resolve))
}

module.exports = { ask }
