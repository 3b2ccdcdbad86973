import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CallbackVerifier } from '../index.js'
import type { CallbackHandler, ReceiveOptions } from './shared.js'

export type { CallbackHandler, ReceiveOptions } from './shared.js'

/**
 * A listener of node:http that answers OSS's callbacks; also for what hands on Node's requests and responses,
 * such as Connect. It reads the raw body, no more than the verifier's `maxBody` and for no longer than its
 * `bodyTimeoutMs`, and answers every request that it gets: those that do not verify never reach the handler.
 *
 * @example
 * const receive = receiveCallbacks(verifier, (event) => ({ key: event.key }))
 * createServer((req, res) => (req.url === '/oss/uploaded' ? receive(req, res) : other(req, res)))
 */
export declare function receiveCallbacks<Request extends IncomingMessage = IncomingMessage>(
  verifier: CallbackVerifier,
  handler: CallbackHandler<Request>,
  options?: ReceiveOptions<Request>,
): (req: Request, res: ServerResponse) => Promise<void>
