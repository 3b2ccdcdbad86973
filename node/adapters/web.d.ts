import type { CallbackVerifier } from '../index.js'
import type { CallbackHandler, ReceiveOptions } from './shared.js'

export type { CallbackHandler, ReceiveOptions } from './shared.js'

/**
 * A function from a `Request` of the Fetch standard to its `Response`: for Hono, Next.js and other runtimes
 * that load addons of Node.
 *
 * Such a request tells its target as a parsed URL, in which `"`, `'`, `<`, `>` and blanks of the query come out
 * encoded. Keep them out of the callback URL, or give `target`.
 *
 * @example
 * const receive = receiveCallbacks(verifier, (event) => ({ key: event.key }))
 * app.post('/oss/uploaded', (c) => receive(c.req.raw)) // Hono
 * export const POST = receive // Next.js
 */
export declare function receiveCallbacks(
  verifier: CallbackVerifier,
  handler: CallbackHandler<Request>,
  options?: ReceiveOptions<Request>,
): (request: Request) => Promise<Response>
