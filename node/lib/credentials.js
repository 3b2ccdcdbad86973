'use strict'

// A user's function that gives credentials: asked by the library's threads, called on the event loop.

const { isDate } = require('node:util/types')
const { moment, typeName } = require('./arguments.js')
const { forget, listen } = require('./calls.js')
const { invalid, take, textOf } = require('./errors.js')
const native = require('./native.js')

/** Unix seconds of the year 5138; milliseconds of 1973. */
const SECONDS_MAX = 1e11

/** Of providers that nobody can need any more. */
const collected = new FinalizationRegistry(forget)

/** The function of one client. It lives as long as the client and its calls. */
class Provider {
  #provide
  #failure

  constructor(provide) {
    if (typeof provide !== 'function') {
      throw invalid('credentialsProvider', `must be a function, but is ${typeName(provide)}`)
    }
    this.#provide = provide
    // The list of listeners is no reason to keep it: the function may well refer to its client.
    const self = new WeakRef(this)
    this.number = listen((question) => {
      const provider = self.deref()
      if (provider === undefined) {
        native.credentialsRefuse(question, 'its client is gone')
      } else {
        void provider.#answer(question)
      }
    })
    collected.register(this, this.number)
  }

  async #answer(question) {
    this.#failure = undefined
    try {
      give(question, await (0, this.#provide)())
    } catch (error) {
      this.#failure = { error }
      native.credentialsRefuse(question, textOf(error))
    }
  }

  /** What the function threw, if the failure of a call tells of it. */
  causeOf(kind, message) {
    const isOurs = kind === 'credentials' && message.startsWith('the credentials provider failed')
    return isOurs ? this.#failure?.error : undefined
  }
}

function give(question, credentials) {
  if (typeof credentials !== 'object' || credentials === null) {
    throw invalid('credentials', `must be an object with \`accessKeyId\`, but are ${typeName(credentials)}`)
  }
  const { accessKeyId, accessKeySecret, securityToken, expiresAt } = credentials
  take(
    native.credentialsGive(
      question,
      accessKeyId,
      accessKeySecret,
      securityToken ?? undefined,
      seconds(expiresAt ?? undefined),
    ),
  )
}

/** Unix seconds of a Date; what cannot be meant is refused. */
function seconds(expiresAt) {
  if (expiresAt === undefined || isDate(expiresAt)) {
    return moment(expiresAt)
  }
  if (typeof expiresAt === 'string') {
    throw invalid('expiresAt', 'must be a Date or Unix seconds, but is a string', 'Write `new Date(text)`.')
  }
  if (expiresAt > SECONDS_MAX) {
    throw invalid('expiresAt', 'is far off: it is in seconds', 'For milliseconds, write `new Date(ms)`.')
  }
  return expiresAt
}

module.exports = { Provider }
