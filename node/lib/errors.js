'use strict'

const process = require('node:process')
const { getSystemErrorName } = require('node:util')

// One class for each kind of error that the library knows; index.d.ts says what they carry.

class OssCallbackError extends Error {
  constructor(message, facts = {}) {
    const { cause, ...rest } = facts
    super(message, cause === undefined ? undefined : { cause })
    const { kind } = new.target
    this.code = `ERR_OSS_${kind.toUpperCase()}`
    this.kind = kind
    this.retryable = false
    this.stored = false
    this.maybeStored = false
    Object.assign(this, rest)
  }

  static kind = 'bug'
}

class InvalidArgumentError extends OssCallbackError {
  static kind = 'invalid_argument'
}

class CredentialsError extends OssCallbackError {
  static kind = 'credentials'
}

class NetworkError extends OssCallbackError {
  static kind = 'network'
}

class TimeoutError extends OssCallbackError {
  static kind = 'timeout'
}

class IntegrityError extends OssCallbackError {
  static kind = 'integrity'
}

class ServiceError extends OssCallbackError {
  static kind = 'service'
}

class CallbackFailedError extends ServiceError {
  static kind = 'callback_failed'
}

class OutcomeUnknownError extends OssCallbackError {
  static kind = 'outcome_unknown'
}

class VerificationError extends OssCallbackError {
  static kind = 'verification'
}

class CancelledError extends OssCallbackError {
  static kind = 'cancelled'
}

class SourceError extends OssCallbackError {
  static kind = 'source'
}

class BugError extends OssCallbackError {}

const classes = {
  OssCallbackError,
  InvalidArgumentError,
  CredentialsError,
  NetworkError,
  TimeoutError,
  IntegrityError,
  ServiceError,
  CallbackFailedError,
  OutcomeUnknownError,
  VerificationError,
  CancelledError,
  SourceError,
  BugError,
}

const byKind = new Map()
for (const [name, type] of Object.entries(classes)) {
  // On the prototype, as for Node's own errors: `name` is the first word of the stack.
  Object.defineProperty(type.prototype, 'name', { value: name, configurable: true, writable: true })
  byKind.set(type.kind, type)
}

/** What the system refused has its name and number, as in Node's own errors. */
function causeFrom(source, { osError }) {
  const cause = new Error(source)
  // Windows has other numbers than Node.
  if (osError !== undefined && process.platform !== 'win32') {
    cause.errno = -osError
    cause.code = getSystemErrorName(-osError)
  }
  return cause
}

/** The exception for a failure that the addon tells. What was thrown in JavaScript is the better cause. */
function fromFailure({ kind, message, retryable, facts, source }, causeOf) {
  const told = source === undefined ? undefined : causeFrom(source, facts)
  const cause = causeOf?.(kind, message) ?? told
  return new (byKind.get(kind) ?? BugError)(message, { retryable, ...facts, cause })
}

/** What a native function gave, or the exception that it asks for, which `causeOf(kind, message)` caused. */
function take(outcome, causeOf) {
  if (outcome?.failed === true) {
    throw fromFailure(outcome, causeOf)
  }
  return outcome
}

/** What was thrown, which may be anything, in words. */
function textOf(error) {
  try {
    return String((error instanceof Error && error.message) || error)
  } catch {
    return 'something that has no text'
  }
}

/** An argument that does not even reach the core. */
function invalid(field, message, hint) {
  const sentence = hint === undefined ? `${field}: ${message}` : `${field}: ${message}. ${hint}`
  return new InvalidArgumentError(sentence, hint === undefined ? { field } : { field, hint })
}

module.exports = { classes, take, invalid, textOf }
