// Signing requests for other HTTP clients.

import type { Addressing, Pairs, SignatureVersion } from './generated.js'

/** Options of a signer. */
export interface SignerOptions {
  /** STS token, for temporary credentials. */
  securityToken?: string | undefined
  /** Region, such as `cn-hangzhou`: version `v4` needs it, and `v1` does without. */
  region?: string | undefined
  /**
   * V4: the product, such as `oss-cloudbox`.
   * @defaultValue oss
   */
  product?: string | undefined
  /** @defaultValue v4 */
  version?: SignatureVersion | undefined
}

/** What is to be signed. */
export interface SignRequest {
  /** Bucket; none for a request to the service. */
  bucket?: string | undefined
  /** Object key, as it is, not encoded; none for a request to the bucket. */
  key?: string | undefined
  /** Names and values as they are before encoding; null for a name without a value. */
  query?: Iterable<readonly [string, string | null]> | Readonly<Record<string, string | null>> | undefined
  /** Headers that will be sent. */
  headers?: Pairs | undefined
  /** V4: names of further headers to sign, in any case and order. */
  additionalHeaders?: readonly string[] | undefined
  /**
   * When, as a Date or in Unix seconds.
   * @defaultValue now
   */
  time?: Date | number | undefined
}

/** What a URL is to allow. */
export interface PresignRequest extends SignRequest {
  /**
   * In milliseconds, from `time` on, at least a second: by V4 at most 7 days, or 12 hours with a security token.
   * Whole seconds count.
   */
  expiresInMs: number
  /**
   * Where the request goes.
   * @defaultValue the region's public endpoint, by https
   */
  endpoint?: string | undefined
  /**
   * Where the bucket's name goes.
   * @defaultValue auto
   */
  addressing?: Addressing | undefined
}

/** A signed URL, and the headers that must be sent with it. */
export interface PresignedRequest {
  /** Method that was signed. */
  method: string
  /** The URL. Whoever holds it can make the request until it expires. */
  url: string
  /** Headers that must be sent unchanged: those of the request that the signature covers. */
  headers: Record<string, string>
}

/** When a policy is signed. */
export interface PolicyOptions {
  /**
   * When, as a Date or in Unix seconds.
   * @defaultValue now
   */
  time?: Date | number | undefined
}

/** Signs requests for any HTTP client. */
export declare class Signer {
  /**
   * @throws {CredentialsError} for credentials that cannot be sent
   * @throws {InvalidArgumentError} for the rest
   */
  constructor(accessKeyId: string, accessKeySecret: string, options?: SignerOptions)

  /**
   * Signs by headers, and gives those to send beside your own, `Authorization` among them.
   *
   * @throws {InvalidArgumentError} for what OSS would refuse, or what could not be sent as it is signed
   */
  sign(method: string, request?: SignRequest): Record<string, string>

  /**
   * Signs by URL.
   *
   * @throws {InvalidArgumentError} as `sign`
   */
  presign(method: string, request: PresignRequest): PresignedRequest

  /** The conditions that a POST policy must hold to be signed at `time`. V1 demands none. */
  policyConditions(options?: PolicyOptions): Record<string, string>

  /**
   * The form fields that a POST form needs beside its own, in order. They must stand before `file`.
   *
   * @throws {InvalidArgumentError} for a policy that is not JSON, or lacks `expiration`, `conditions` or one
   *   of `policyConditions`
   */
  signPolicy(policyJson: string, options?: PolicyOptions): Record<string, string>

  /** Which version this signer writes. */
  get version(): SignatureVersion

  /** V4: the region it signs for. */
  get region(): string | undefined
}
