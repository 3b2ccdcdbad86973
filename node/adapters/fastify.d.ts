import type { IncomingMessage } from 'node:http'
import type { CallbackVerifier } from '../index.js'
import type { CallbackHandler, ReceiveOptions } from './shared.js'

export type { CallbackHandler, ReceiveOptions } from './shared.js'

/** What is known here of Fastify's request; give your own type for more. */
export interface FastifyRequestLike {
  raw: IncomingMessage
}

/** Options of the plugin. */
export interface FastifyReceiveOptions<Request> extends ReceiveOptions<Request> {
  /** The path of the callback URL, below the prefix of the plugin if it has one. */
  path: string
}

/**
 * A plugin of Fastify with one route, for POST requests to `path`. Parsers of the application stay outside of
 * it: the raw body is read as it arrives.
 *
 * @example
 * app.register(receiveCallbacks(verifier, (event) => ({ key: event.key }), { path: '/oss/uploaded' }))
 */
export declare function receiveCallbacks<Request extends FastifyRequestLike = FastifyRequestLike>(
  verifier: CallbackVerifier,
  handler: CallbackHandler<Request>,
  options: FastifyReceiveOptions<Request>,
): (instance: object, options: object) => Promise<void>
