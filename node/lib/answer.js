'use strict'

// Answers to OSS. What OSS accepts is the core's to know. Documentation: receive.d.ts.

const { isUint8Array } = require('node:util/types')
const { fromFlat } = require('./arguments.js')
const { classes, take } = require('./errors.js')
const native = require('./native.js')

/** An answer of this library's making, so that a handler can return one. */
class CallbackAnswer {
  #made = true

  constructor({ status, headers, body }) {
    this.status = status
    this.headers = fromFlat(headers)
    this.body = body
    Object.freeze(this)
  }

  static is(value) {
    return typeof value === 'object' && value !== null && #made in value
  }
}

/** `json` is JSON as text or bytes, or a value to be written as JSON. */
function reply(json) {
  return new CallbackAnswer(take(native.answerReply(bytesOf(json))))
}

function bytesOf(json) {
  if (isUint8Array(json)) {
    return json
  }
  const text = typeof json === 'string' ? json : written(json)
  return Buffer.from(text, 'utf8')
}

function written(value) {
  let text
  let cause
  try {
    text = JSON.stringify(value)
  } catch (error) {
    cause = error
  }
  if (text === undefined) {
    const why = cause === undefined ? `a ${typeof value} has no JSON` : cause.message
    throw new classes.InvalidArgumentError(`answer: cannot be written as JSON: ${why}`, {
      field: 'answer',
      cause,
    })
  }
  return text
}

/** For requests that do not verify: the same for every reason. */
function refusal() {
  return new CallbackAnswer(native.answerRefusal())
}

/** For requests that did verify, but could not be answered. */
function failure() {
  return new CallbackAnswer(native.answerFailure())
}

module.exports = { CallbackAnswer, reply, refusal, failure }
