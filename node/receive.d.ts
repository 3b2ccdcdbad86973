/// <reference types="node" />

// The application server's side: verifying, understanding and answering a callback.

import type { BodyType, VerifierOptions } from './generated.js'
import type { Callback, CallbackInit } from './index.js'

/** The headers of a request, in any of the forms that Node and its frameworks have. */
export type RequestHeaders =
  | readonly string[]
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>

/** Options of a verifier. The three that your own functions and objects fill come first. */
export interface CallbackVerifierOptions extends VerifierOptions {
  /** The callback that uploads are made with, in place of `template` and `templateType`. */
  callback?: Callback | CallbackInit | undefined

  /**
   * Gets the PEM of official keys, in place of the library's own way: OSS's present key is built in,
   * another one is fetched from OSS's own host by https.
   *
   * It replaces the fetching and the key that is built in, never the rule for key URLs: it is not called for
   * a URL that is not OSS's. Its answers are remembered, failures for 30 s; calls for one URL share one
   * answer. It fails after 10 s.
   */
  fetchKey?: ((url: string) => string | Uint8Array | Promise<string | Uint8Array>) | undefined

  /**
   * Asked last, of every seal that is right: with its nonce and expiry, whether this is the first time.
   * Remember the nonce until the expiry; give false to refuse a replay. It must be atomic: of two calls with
   * one nonce only one may get true. What it throws, `verify` is rejected with.
   * @defaultValue none; replays within the expiry are accepted
   */
  firstUse?: (nonce: string, expiresAt: Date) => boolean | Promise<boolean>
}

/**
 * Verifies callback requests. One serves the whole application. The signature alone is a hint; with a seal
 * and `client.confirm` you can act on a callback. What each check proves:
 * https://github.com/oss-callback/oss-callback/blob/main/docs/verifying.md
 *
 * @example
 * const verifier = new CallbackVerifier({ bucket: 'photos', sealSecret: process.env.SEAL_SECRET })
 * const event = await verifier.verify(req.method, req.originalUrl, req.rawHeaders, body)
 */
export declare class CallbackVerifier {
  /**
   * Checks the options. The default needs none and, for OSS's present key, no network.
   *
   * @throws {InvalidArgumentError} for an unknown option, a key that is not an RSA public key, a template that
   *   cannot be read backwards, a secret under 16 bytes, `firstUse` without a secret; and for a `sealSecret`,
   *   `bucket` or `firstUse` that is there but undefined or empty, which would switch a check off unnoticed, or
   *   for an empty list of `trustedKeys`
   */
  constructor(options?: CallbackVerifierOptions)

  /** Largest body that is accepted, in bytes. */
  get maxBody(): number

  /** Longest time for a body to arrive, in milliseconds. Who reads one answers what has not arrived by `refusal()`. */
  get bodyTimeoutMs(): number

  /**
   * Verifies a request and tells what it says. Adapters for frameworks are in `oss-callback/express` and its
   * fellows. Only `fetchKey`, `firstUse` and a key that is not known yet are waited for, never by the event
   * loop.
   *
   * @param method as it arrived: OSS sends `POST` alone
   * @param target the raw request target with its query, such as `req.originalUrl`; a whole URL is read as its
   *   path and query
   * @param headers all of the request's. Prefer `req.rawHeaders`: in `req.headers` Node has dropped what stood
   *   twice
   * @param body the raw bytes; text and parsed bodies are refused
   * @throws {VerificationError} `reason` says which check failed, `hint` which accident explains it. Both are for
   *   your log: to the sender answer `refusal()`
   */
  verify(
    method: string,
    target: string,
    headers: RequestHeaders,
    body: NodeJS.ArrayBufferView | ArrayBufferLike,
    options?: VerifyOptions,
  ): Promise<CallbackEvent>

  /**
   * Verifies only the signature, not the body or the seal: for bodies that are neither form nor JSON.
   *
   * @throws as `verify`
   */
  verifySignature(
    method: string,
    target: string,
    headers: RequestHeaders,
    body: NodeJS.ArrayBufferView | ArrayBufferLike,
  ): Promise<void>
}

/** Options of one verification. */
export interface VerifyOptions {
  /**
   * When the callback arrived, as a Date or in Unix seconds; only a seal's expiry depends on it.
   * @defaultValue now
   */
  now?: Date | number | undefined
}

/** One value of a callback body. */
export interface CallbackField {
  /** Name, decoded. Within JSON objects and arrays a path: `file.name`, `tags.0`. */
  readonly name: string
  /** Value, decoded; empty for null. */
  readonly text: string
  /** What it was in the body. Of the form type all are strings. */
  readonly kind: 'string' | 'number' | 'boolean' | 'null'
}

/** What an event is made of. */
export interface CallbackEventFacts {
  /** Name of the bucket. */
  readonly bucket?: string | undefined
  /** The object's key, decoded. */
  readonly key?: string | undefined
  /** The object's ETag, without quotes. */
  readonly etag?: string | undefined
  /** The object's size in bytes; of a multipart upload the whole. */
  readonly size?: number | undefined
  /** The object's Content-Type. */
  readonly mimeType?: string | undefined
  /** The object's CRC-64, in decimal as everywhere in this package: `BigInt(event.crc64)`. */
  readonly crc64?: string | undefined
  /** Base64 of the object's MD5. OSS fills it in for PutObject and PostObject only. */
  readonly contentMd5?: string | undefined
  /** Size in pixels and format of an image. */
  readonly image?: CallbackImage | undefined
  /** Address that the upload came from. */
  readonly clientIp?: string | undefined
  /** VPC that the upload came from; empty if it came from none. */
  readonly vpcId?: string | undefined
  /** OSS's id of the upload request. */
  readonly requestId?: string | undefined
  /** Name of the upload's API, such as `PutObject`. */
  readonly operation?: string | undefined
  /** The custom variables, by their names without `x:`. The object has no prototype. */
  readonly variables?: Readonly<Record<string, string>>
  /**
   * What the body names and should be a number, but is none: `size`, `crc64`, `imageInfo.width`,
   * `imageInfo.height`, with its text; `''` where OSS had no value. What is neither here nor a number is not
   * in the body. A size above 2^53 is here too: OSS's objects have less than 2^46 bytes.
   */
  readonly notNumbers?: Readonly<Record<string, string>>
  /** All fields, as they stood in the body and in its order. */
  readonly fields?: readonly CallbackField[]
  /** The seal, if the verifier was given secrets and so has checked it. */
  readonly seal?: { readonly nonce: string; readonly expiresAt: Date } | undefined
}

/** What a callback says of an image; all empty or undefined for what is none. */
export interface CallbackImage {
  readonly width: number | undefined
  readonly height: number | undefined
  readonly format: string | undefined
}

/**
 * What a verified callback says of the upload. A property is `undefined` if the body does not name it, and `''`
 * if OSS had no value for it, such as `vpcId` outside of a VPC. How far each can be believed depends on the checks
 * that were made.
 */
export declare class CallbackEvent {
  /** An event made by hand, to test code that takes one. */
  constructor(facts: CallbackEventFacts)

  /**
   * Understands a body, without verifying anything: for a body that was verified elsewhere, and for tests.
   *
   * @param body the raw bytes
   * @param bodyType what the body is
   * @param template the callback body as it was given to OSS, with its `${…}`. Without it, fields go by OSS's
   *   own names (`bucket`, `object`, …), and all others are custom variables, as in this library's default
   *   callback body
   * @throws {VerificationError} reason `malformed_body`: the body is not of that type, does not fit the template
   *   or contradicts itself
   * @throws {InvalidArgumentError} for a template that cannot be read backwards
   */
  static parse(
    body: NodeJS.ArrayBufferView | ArrayBufferLike,
    bodyType: BodyType,
    template?: string | undefined,
  ): CallbackEvent

  readonly image: CallbackImage
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly notNumbers: Readonly<Record<string, string | undefined>>
  readonly fields: readonly CallbackField[]
}

export interface CallbackEvent extends Omit<
  CallbackEventFacts,
  'image' | 'variables' | 'notNumbers' | 'fields'
> {}

/** What OSS says of an object whose callback it has confirmed. */
export interface Confirmation {
  /** ETag, without quotes. */
  etag: string | undefined
  /** Size in bytes. */
  size: number | undefined
  /** CRC-64, in decimal. */
  crc64: string | undefined
  /** Content-Type. */
  contentType: string | undefined
  /** When it was stored, to the second. */
  lastModified: Date | undefined
  /** Version, in a versioned bucket. */
  versionId: string | undefined
  /** OSS's id of the question. */
  requestId: string | undefined
}

/** An HTTP answer to a callback request. */
export interface CallbackAnswer {
  readonly status: number
  /** `Content-Type` and `Content-Length`: send both. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/**
 * The answer by which the upload succeeds. The uploader gets the body as it is.
 *
 * @param json JSON as text or bytes; any other value is written as JSON
 * @throws {InvalidArgumentError} for what OSS refuses: nothing at all, a byte order mark, invalid JSON, or more
 *   than 1 MB
 */
export declare function reply(json: unknown): CallbackAnswer

/** The answer to a request that did not verify: status 403, the same for every reason. */
export declare function refusal(): CallbackAnswer

/** The answer to a request that did verify, but could not be acted on: status 500. */
export declare function failure(): CallbackAnswer
