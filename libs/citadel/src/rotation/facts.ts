/** What is known of one program that follows the trust bundle: a proxy, pilot, telemetry. */
export interface ProxyReport {
  readonly spiffeId: string;
  /** The node id of a proxy; what a program calls itself. */
  readonly name: string;
  /** Of this run of it: two with one name are two. */
  readonly run: string;
  /** host:port its stream came from; "" before its first. */
  readonly address: string;
  /** SHA-256 of the roots it has put in force, as it said. */
  readonly trustedRoots: readonly string[];
  /** SHA-256 of the root that its certificate leads to, as TLS saw it. */
  readonly certificateRoot: string;
  readonly serial: string;
  /** Of the certificate, milliseconds since the epoch: whoever was not heard of again is alive no longer than that. */
  readonly certificateNotAfter: number;
  /** A stream of it is open. */
  readonly connected: boolean;
  /** When it was last heard of, milliseconds since the epoch. */
  readonly heardAt: number;
  /** Since when it has had these roots and a certificate of this one. */
  readonly since: number;
  /** Why it has not put in force what it was sent; "" when it has, or has not said. */
  readonly problem: string;
}

/** Certificates that went to callers that do not report what they trust: the latest of them counts for all. */
export interface SilentIssuance {
  readonly certificateRoot: string;
  /** The roots that were believed when it was issued. */
  readonly trustedRoots: readonly string[];
  /** No such certificate ends later. Milliseconds since the epoch; rounded up. */
  readonly latestNotAfter: number;
  readonly count: number;
}

/** Another citadel on the same keystore. */
export interface CitadelReport {
  readonly id: string;
  readonly signingRoot: string;
  readonly trustedRoots: readonly string[];
  readonly heardAt: number;
}

/** All that decides whether a step would cut somebody off. */
export interface RotationFacts {
  readonly proxies: readonly ProxyReport[];
  readonly silent: readonly SilentIssuance[];
  readonly citadels: readonly CitadelReport[];
  /** Since when this citadel listens: who was connected before needs a moment to come back. */
  readonly listeningSince: number;
}
