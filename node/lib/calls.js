'use strict'

// Uploads under way, and whoever else is told something: one channel from the library's threads to this
// event loop, for all of them.

const process = require('node:process')
const { setInterval } = require('node:timers')
const native = require('./native.js')

/** What is to be done with what the channel tells, by number. */
const handlers = new Map()
let last = 0
let running = 0

// The channel itself does not keep the process alive. This does, while calls are under way.
const alive = setInterval(() => {}, 2 ** 31 - 1).unref()

const channel = native.channelNew((number, event) => handlers.get(number)?.(event))

// Bun has libuv's functions for addons only to say, and end the program, that it does not have them.
if (process.versions.bun === undefined) {
  native.channelWatch(channel, () => {
    for (const { number, event } of native.channelTurn(channel)) {
      handlers.get(number)?.(event)
    }
  })
}

/** Has `handler` called with what is told under the number that this gives. It must not throw. */
function listen(handler) {
  last += 1
  handlers.set(last, handler)
  return last
}

function forget(number) {
  handlers.delete(number)
}

/**
 * Gives a promise of the outcome of what `start(channel, number)` starts. If that throws, nothing was
 * started. Until the end, `owner` is not collected.
 */
function call(owner, start) {
  return new Promise((resolve, reject) => {
    const number = listen((outcome) => {
      owner = undefined
      forget(number)
      running -= 1
      if (running === 0) {
        alive.unref()
      }
      resolve(outcome)
    })
    try {
      start(channel, number)
    } catch (error) {
      forget(number)
      reject(error)
      return
    }
    running += 1
    if (running === 1) {
      alive.ref()
    }
  })
}

module.exports = { call, channel, listen, forget }
