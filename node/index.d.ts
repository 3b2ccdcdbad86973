/// <reference types="node" />

import type {
  BodyType,
  CallbackOptions,
  ClientOptions as PlainClientOptions,
  ErrorCode,
  ErrorFacts,
  ErrorKind,
  PutOptions,
  UploadOptions,
} from './generated.js'
import type { CallbackEvent, CallbackEventFacts, Confirmation } from './receive.js'

export * from './generated.js'
export * from './receive.js'
export * from './sign.js'

/** Bytes: a Buffer, any view of an ArrayBuffer, or an ArrayBuffer itself. */
export type Data = NodeJS.ArrayBufferView | ArrayBufferLike

/** A file by its path. It is opened when the upload begins. */
export interface FilePath {
  readonly path: string | URL
}

/** A web stream, as `fetch` gives it: anything with the methods that are used. */
export interface WebStream {
  readonly locked: boolean
  getReader(): { read(): Promise<{ done: boolean; value?: Data | undefined }> }
  cancel(reason?: unknown): Promise<void>
}

/** A Blob or a File, `fs.openAsBlob()` included. */
export interface BlobLike {
  readonly size: number
  stream(): WebStream
  arrayBuffer(): Promise<ArrayBuffer>
}

/** A FileHandle of `node:fs/promises`. */
export interface FileHandleLike {
  readonly fd: number
  read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ bytesRead: number }>
  stat(): Promise<unknown>
}

/**
 * What can be uploaded.
 *
 * - Bytes. They are copied once before the method returns: what happens to them afterwards does not matter.
 * - A file, as `{ path }` or as a `file:` URL. It is read while it is sent, by position, and can be sent
 *   again should a request fail; it must not change meanwhile.
 * - A Blob or a File, whose size is known.
 * - A stream: a `Readable`, a web stream, an async or sync iterable of bytes, or a FileHandle (from its
 *   position to its end; it stays open). It is read as fast as it can be sent, and never more than a few
 *   buffers ahead. It can be read only once: what fails after its first byte was taken cannot be tried
 *   again, and the error says so. However the call ends, a stream is done with then: destroyed, cancelled,
 *   or its `return()` called, unless it has come to its end.
 *
 * Text is refused: encode it by `Buffer.from(text)`.
 */
export type Source =
  | Data
  | FilePath
  | URL
  | BlobLike
  | NodeJS.ReadableStream
  | WebStream
  | FileHandleLike
  | AsyncIterable<Data>
  | Iterable<Data>

/** What both ways of an upload take beside OSS's options. */
interface CallOptions {
  /**
   * How many bytes a stream will give, where that is known: less or more is then an error of kind `source`,
   * and nothing is stored. Without it the object is sent in chunks, or in parts.
   */
  length?: number | bigint | undefined
}

/** Options of one upload. */
export interface PutObjectOptions extends PutOptions, CallOptions {
  /**
   * Ends the upload: the promise is rejected with the signal's own `reason` at once. The object may or
   * may not be stored. One signal can serve any number of uploads.
   */
  signal?: AbortSignal | null | undefined
}

/** How far an upload is. */
export interface Progress {
  /**
   * Bytes handed to the network, and bytes that were there from an earlier run. Never goes back, even when
   * a part is sent again.
   */
  bytesDone: number
  /** Bytes of the whole, where that is known. */
  bytesTotal: number | undefined
  /** Parts that OSS has acknowledged; 0 for an upload in one request. */
  partsDone: number
  /** Parts of the whole, where that is known; undefined for an upload in one request. */
  partsTotal: number | undefined
}

/** Options of one upload of any size. */
export interface UploadFileOptions extends UploadOptions, CallOptions {
  /**
   * Ends the upload, and the promise is rejected with the signal's own `reason` once things are in order:
   * with a `checkpoint` the same call goes on later where this one ended; without one, its parts are
   * removed. That takes a moment, and with a network that is gone up to 15 s.
   */
  signal?: AbortSignal | null | undefined

  /**
   * Told how far the upload is: at its beginning, ten times a second while bytes move, and at its end.
   * What it throws ends the upload, as a signal does, and is what the promise is rejected with, unless the
   * upload is complete by then. Of a function that gives a promise, the same holds for what that is rejected
   * with; it is not waited for.
   */
  onProgress?: ((progress: Progress) => unknown) | undefined
}

/** An AccessKey pair, with the STS token of a temporary one. */
export interface Credentials {
  accessKeyId: string
  accessKeySecret: string
  /** STS token, for temporary credentials. */
  securityToken?: string | null | undefined
  /**
   * When they end, as a Date or in Unix seconds: five minutes before, the function is asked again. Without
   * it a pair without a token is kept for good, and one with a token is replaced every 15 minutes.
   */
  expiresAt?: Date | number | null | undefined
}

/** What a client is made of. */
export interface ClientOptions extends PlainClientOptions {
  /**
   * Gives credentials, in place of `accessKeyId` and the other options for them.
   *
   * It is called on this thread when a call needs credentials and none are at hand, and in good time before
   * those at hand end; one call of it at a time serves all uploads. What it throws is the `cause` of a
   * CredentialsError, whose message shows its message, so that should hold no secrets. Then, and when it
   * does not answer within 60 s, it is asked again a little later. It does not keep the process alive.
   */
  credentialsProvider?: (() => Credentials | Promise<Credentials>) | undefined
}

/** How to seal. */
export interface SealOptions {
  /**
   * What your application server's `CallbackVerifier` has as `sealSecret`: at least 16 bytes, such as
   * `openssl rand -base64 32` gives.
   */
  secret: string
  /**
   * From the upload's start (or the signing of a URL or form) to the arrival of the callback, in
   * milliseconds. Range: 1 second to 365 days; whole seconds count.
   */
  expiresInMs: number
}

/** Options of a callback, a seal among them. */
export interface SealableCallbackOptions extends CallbackOptions {
  /**
   * Seals every upload by a secret that your application server shares, so that it can tell your uploads
   * from a forger's. The seal travels as the variable `x:seal`; a body that is written out must hold
   * `${x:seal}`, `${bucket}`, `${object}` and every variable.
   * @see https://github.com/oss-callback/oss-callback/blob/main/docs/verifying.md
   * @defaultValue none
   */
  seal?: SealOptions
}

/** A callback as a plain object. */
export interface CallbackInit extends SealableCallbackOptions {
  /** As for `new Callback(url)`. */
  url?: string | readonly string[] | null | undefined
}

/**
 * Uploads objects with callbacks.
 *
 * One client serves any number of uploads at once and keeps its connections alive between them. Neither the
 * event loop nor libuv's thread pool ever waits for an upload.
 *
 * @example
 * const client = new Client({ region: 'cn-hangzhou' })
 * const callback = new Callback('https://app.example.com/cb', { vars: { order: '42' } })
 * const reply = await client.putObjectWithCallback('examplebucket', 'a.txt', Buffer.from('Hello OSS'), callback)
 * console.log(reply.json())
 */
export declare class Client {
  /**
   * Checks the options. Nothing is sent.
   *
   * @throws {InvalidArgumentError} for an option that is unknown, malformed, out of range or missing
   * @throws {CredentialsError} if there are none, neither here nor in the environment
   */
  constructor(options?: ClientOptions)

  /**
   * Uploads an object, has OSS call the application server, and gives its answer.
   *
   * @param bucket name of the bucket
   * @param key the object's key, as it is, not encoded
   * @param data bytes, a file or a stream, of at most 5 GiB
   * @param callback what OSS shall send, and where
   * @throws {CallbackFailedError} the object *is* stored, but the callback failed
   * @throws {OutcomeUnknownError} the object *is* stored, but the answer was lost, and what the callback
   *   came to is not known
   * @throws {SourceError} the data cannot be read; what a stream threw is the `cause`. Nothing is stored
   * @throws {OssCallbackError} any other kind; with `invalid_argument` and `credentials` nothing was stored
   */
  putObjectWithCallback(
    bucket: string,
    key: string,
    data: Source,
    callback: Callback | CallbackInit,
    options?: PutObjectOptions,
  ): Promise<CallbackReply>

  /**
   * Uploads a file or a stream of any size: in one request below `threshold`, in parts above it. OSS calls
   * the application server once, when the object is whole, and its answer is given.
   *
   * An upload in parts that fails is aborted, so that OSS keeps no parts, unless it has a `checkpoint`: then
   * the same call goes on where this one ended, also after the process was killed.
   *
   * @param bucket name of the bucket
   * @param key the object's key, as it is, not encoded
   * @param source a file, a stream or bytes. A path is best: its parts are read where they lie, can be sent
   *   again one by one, and a `checkpoint` needs it
   * @param callback what OSS shall send, and where
   * @throws as `putObjectWithCallback`
   *
   * @example
   * await client.uploadFileWithCallback('examplebucket', 'film.mp4', { path: 'film.mp4' }, callback, {
   *   checkpoint: 'film.mp4.checkpoint',
   *   onProgress: ({ bytesDone, bytesTotal }) => console.log(bytesDone, 'of', bytesTotal),
   * })
   */
  uploadFileWithCallback(
    bucket: string,
    key: string,
    source: Source,
    callback: Callback | CallbackInit,
    options?: UploadFileOptions,
  ): Promise<CallbackReply>

  /**
   * Asks OSS (HeadObject, with this client's credentials) whether the object of a callback is there with the
   * ETag, size and CRC-64 that the callback tells: those that its body names, at least one. The credentials
   * need the right to read the object (`oss:GetObject`).
   *
   * It proves what is stored now, not who stored it: the bucket is the one that the callback claims, so hold it
   * against your own by the verifier's `bucket` or a seal.
   *
   * @param event an event, or as much of one as was kept: bucket, key, and what is to be compared
   * @throws {VerificationError} reason `object_missing` or `object_differs`
   * @throws {OssCallbackError} any other kind: then nothing is known of the object
   */
  confirm(
    event: CallbackEvent | Pick<CallbackEventFacts, 'bucket' | 'key' | 'etag' | 'size' | 'crc64'>,
    options?: { signal?: AbortSignal | null | undefined },
  ): Promise<Confirmation>

  /** The region that requests are signed for, if one is known. */
  get region(): string | undefined

  /** Where requests go, as a URL. */
  get endpoint(): string

  /**
   * Lets go of the connections, and refuses further calls. Calls under way end as they would have. Without
   * it, the garbage collector does the same one day; a client never keeps the process from ending.
   */
  close(): void

  /** `close()`, for `using`. */
  [Symbol.dispose](): void
}

/** The application server's answer to the callback, and what OSS said of the stored object. */
export declare class CallbackReply {
  /** A reply made by hand, to test code that takes one. */
  constructor(facts: {
    body: Buffer
    contentType?: string | undefined
    etag?: string | undefined
    crc64?: string | undefined
    versionId?: string | undefined
    requestId?: string | undefined
    serverTimeMs?: number | undefined
  })

  /** The callback body: what the application server answered, byte for byte. */
  readonly body: Buffer

  /** The callback body as text, with U+FFFD for what is not UTF-8. */
  get text(): string

  /**
   * The callback body as JSON.
   *
   * @throws {InvalidArgumentError} if it is not JSON: the upload and the callback succeeded all the same
   */
  json(): unknown

  /** Media type of the callback body. */
  readonly contentType: string | undefined

  /** ETag of the object, without quotes. */
  readonly etag: string | undefined

  /**
   * CRC-64 of the object, in decimal: a number holds 53 bits, `BigInt(reply.crc64)` all of them. It was
   * compared with that of the data sent.
   */
  readonly crc64: string | undefined

  /** Version of the object, in a versioned bucket. */
  readonly versionId: string | undefined

  /** OSS's id of the request. */
  readonly requestId: string | undefined

  /** How long OSS worked on the request, callback included, in milliseconds. */
  readonly serverTimeMs: number | undefined
}

/** Values of an upload, for `preview`, by the names of OSS's variables. */
export interface PreviewValues {
  bucket?: string
  object?: string
  etag?: string
  /** In bytes. */
  size?: number | bigint
  mimeType?: string
  /** In pixels. */
  'imageInfo.width'?: number
  /** In pixels. */
  'imageInfo.height'?: number
  'imageInfo.format'?: string
  crc64?: string | bigint
  contentMd5?: string
  vpcId?: string
  clientIp?: string
  reqId?: string
  operation?: string
}

/**
 * A checked callback, ready to be sent with any number of uploads.
 *
 * @example
 * new Callback('https://app.example.com/cb', {
 *   bodyType: 'json',
 *   fields: { key: '${object}', bytes: '${size}', order: '${x:order}' },
 *   vars: { order: '42' },
 * })
 */
export declare class Callback {
  /**
   * Checks all by OSS's rules and by good sense, and encodes it.
   *
   * @param url where OSS calls; up to five, of which each is tried when those before it failed. Left out
   *   (undefined) with `policy`
   * @throws {InvalidArgumentError} `field` says which option (`callback.url`, `callback.body`, …), `hint`
   *   what to write instead, and `ec` what OSS would have answered
   */
  constructor(url?: string | readonly string[] | null, options?: SealableCallbackOptions)

  /** Base64 of the callback's JSON: the value of `x-oss-callback` or of the query's `callback`. */
  get encoded(): string
  /** Base64 of the variables' JSON: `x-oss-callback-var` or `callback-var`. Absent without variables. */
  get encodedVars(): string | undefined
  /** The JSON text that `encoded` holds. */
  get json(): string
  /** The JSON text that `encodedVars` holds. */
  get varsJson(): string | undefined
  /** The URLs, in the order in which OSS tries them. None with a policy. */
  get urls(): string[]
  /** The body's template. Absent with a policy. */
  get body(): string | undefined
  /** Media type of the body. */
  get bodyType(): BodyType
  /** The `Host` header, where it is not that of the URL. */
  get host(): string | undefined
  /** Whether OSS names the server in the TLS handshake. */
  get sni(): boolean
  /** Additional headers of the callback request. */
  get headers(): Record<string, string>
  /** Custom variables, names with `x:`. A form upload sends them as fields of these names. */
  get vars(): Record<string, string>
  /** Name of the policy that is stored with the bucket. */
  get policy(): string | undefined
  /** Legal, but seldom meant, such as a variable that the body never uses. */
  get warnings(): string[]

  /** Whether each upload gets a seal; false for a callback that is sealed already. */
  get isToBeSealed(): boolean

  /**
   * The callback for one upload, with a new seal among its variables; the callback itself, if it has no
   * `seal`. Uploads by `Client` do this by themselves: use it for presigned URLs and forms. With
   * `${filename}` in a form's key there is nothing to seal.
   *
   * @throws {InvalidArgumentError} for an empty bucket or key
   */
  sealedFor(bucket: string, key: string, options?: SealedForOptions): Callback

  /**
   * The exact body that OSS would send for an upload with these values. What is not given is as OSS has it
   * for an upload without it: size 0, text empty, and the image's values nothing at all.
   *
   * @throws {InvalidArgumentError} for a policy, whose body lies with the bucket, and for an unknown name
   */
  preview(values?: PreviewValues): string
}

/** From when on a seal counts. */
export interface SealedForOptions {
  /**
   * When, as a Date or in Unix seconds.
   * @defaultValue now
   */
  time?: Date | number | undefined
}

/**
 * What all errors of this library have in common. `message` is a sentence with all that helps; no secret,
 * signature or token is part of it.
 *
 * Two facts have names of their own here, because every error of Node has properties of these names: OSS's
 * code, such as `AccessDenied`, is `ossCode`, and the cause of a failed callback is `callbackCause`.
 */
export declare class OssCallbackError extends Error {
  /** An error made by hand, to test code that handles it. */
  constructor(message?: string, facts?: Partial<ErrorFacts> & { retryable?: boolean; cause?: unknown })
  /** What went wrong, in the one word that all languages share. */
  readonly kind: ErrorKind
  /** What went wrong, in Node's form. */
  readonly code: ErrorCode
  /** Whether the same call may well succeed when it is made again, without making a second callback. */
  readonly retryable: boolean
  /** What caused it, where another error did. Where the system refused something, it has Node's `code`, such as `ENOENT`. */
  readonly cause?: unknown
}

export interface OssCallbackError extends ErrorFacts {}
