import type { IncomingMessage } from 'node:http'
import type { CallbackVerifier } from '../index.js'
import type { CallbackHandler, ReceiveOptions } from './shared.js'

export type { CallbackHandler, ReceiveOptions } from './shared.js'

/** What is needed of Koa's context. */
export interface KoaContext {
  req: IncomingMessage
  method: string
  originalUrl: string
  status: number
  body: unknown
  set(headers: { [name: string]: string }): void
}

/**
 * A middleware of Koa that answers every request it gets: have a router call it for the path of the callback
 * URL. Put it above body parsers; one that keeps `ctx.request.rawBody` is fine.
 *
 * @example
 * router.post('/oss/uploaded', receiveCallbacks(verifier, (event) => ({ key: event.key })))
 */
export declare function receiveCallbacks<Context extends KoaContext = KoaContext>(
  verifier: CallbackVerifier,
  handler: CallbackHandler<Context>,
  options?: ReceiveOptions<Context>,
): (ctx: Context) => Promise<void>
