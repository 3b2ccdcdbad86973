// The CommonJS module under its own names: one identity of the classes, however they are loaded.

import ossCallback from './index.js'

export const {
  Client,
  Callback,
  CallbackReply,
  Signer,
  CallbackVerifier,
  CallbackEvent,
  reply,
  refusal,
  failure,
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
} = ossCallback
