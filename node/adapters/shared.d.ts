import type { CallbackAnswer, CallbackEvent } from '../index.js'

/**
 * What your application does with a verified callback. What it gives is the answer, which the uploader gets
 * as it is: JSON as text or bytes, or any other value, to be written as JSON; nothing is `null`. Or an answer
 * by `reply`, `refusal` or `failure`.
 *
 * It must be quick: OSS waits 5 seconds for the answer. When it throws a `VerificationError`, such as one of
 * `client.confirm(event)`, the request is refused with status 403; any other error is answered with 500. In
 * both cases the object stays stored, and the upload ends as `callback_failed`.
 */
export type CallbackHandler<Request> = (
  event: CallbackEvent,
  request: Request,
) => CallbackAnswer | unknown | Promise<CallbackAnswer | unknown>

/** Options of an adapter. */
export interface ReceiveOptions<Request> {
  /**
   * Is told why a request was refused, or could not be answered; the sender is not. A refusal is a
   * `VerificationError` with its `reason`, or a `TimeoutError` or `NetworkError` for a body that did not
   * arrive. All others are for you to mend: a body parser that ran before, or what your handler threw. It may
   * be async, and is not waited for; when it fails, the console is told.
   * @defaultValue one line on the console; with Fastify, the request's log
   */
  log?: (error: Error, request: Request) => unknown

  /**
   * Tells the target that OSS signed, with its query, where a proxy before this server rewrites it: for
   * one that strips `/api`, `(req) => '/api' + req.url`.
   * @defaultValue the target that arrived, whatever routers have cut off since
   */
  target?: (request: Request) => string
}
