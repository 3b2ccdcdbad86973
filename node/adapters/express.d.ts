import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CallbackVerifier } from '../index.js'
import type { CallbackHandler, ReceiveOptions } from './shared.js'

export type { CallbackHandler, ReceiveOptions } from './shared.js'

/**
 * A handler of Express 4 and 5 for the path of the callback URL, also within mounted routers. Put it above
 * body parsers: OSS signs the raw bytes. A parser that keeps them is fine: `express.raw()`, or one that puts
 * them into `req.rawBody`.
 *
 * @example
 * app.post('/oss/uploaded', receiveCallbacks(verifier, (event) => ({ key: event.key })))
 */
export declare function receiveCallbacks<Request extends IncomingMessage = IncomingMessage>(
  verifier: CallbackVerifier,
  handler: CallbackHandler<Request>,
  options?: ReceiveOptions<Request>,
): (req: Request, res: ServerResponse) => Promise<void>
