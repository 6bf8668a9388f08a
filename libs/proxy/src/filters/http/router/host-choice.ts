import type { Hash64, Random } from '@meltemi/base';
import type { RequestHead } from '@meltemi/http';
import { cookieValue, requestHash, type CookieHash, type ForwardAction, type HashSource, type MetadataCriteria } from '@meltemi/route';
import type { Host, PickContext } from '../../../balance/index.ts';
import type { ResponseTarget } from '../../../http/response-target.ts';
import { originalDestination, type UpstreamCluster } from '../../../upstream.ts';
import type { RetryState } from './retry-state.ts';

/** What of a request decides which host gets it; handed to pickers as it is. @hot */
export class HostChoice implements PickContext, HashSource {
  readonly metadataMatch: MetadataCriteria | null;
  readonly maxAttempts: number;
  readonly random: Random;
  readonly head: RequestHead;
  /** Of a retry: what it avoids. */
  retry: RetryState | null = null;
  /** For the response: cookies that the client did not have and that pick its host from now on. */
  newCookies: string[] | null = null;
  readonly #action: ForwardAction;
  readonly #target: ResponseTarget;

  constructor(head: RequestHead, action: ForwardAction, target: ResponseTarget) {
    this.head = head;
    this.#action = action;
    this.#target = target;
    this.metadataMatch = action.metadataMatch;
    this.maxAttempts = action.retry?.hostSelectionMaxAttempts ?? 1;
    this.random = target.random;
  }

  /** Null when no host is healthy. */
  pick(cluster: UpstreamCluster): Host | null {
    const destination = originalDestination(this.#target.info.connection);
    let host = cluster.pick(this, destination);
    const { retry } = this;
    if (retry === null) return host;
    for (let i = 0; i < this.maxAttempts && host !== null && retry.avoids(host); i++) host = cluster.pick(this, destination);
    return host;
  }

  get previousHosts(): readonly Host[] | null {
    return this.retry !== null && this.retry.previousHosts.length > 0 ? this.retry.previousHosts : null;
  }

  get triedPriorities(): number[] | null {
    return this.retry !== null && this.retry.triedPriorities.length > 0 ? this.retry.triedPriorities : null;
  }

  hash(into: Hash64): boolean {
    return requestHash(this.#action.hashPolicy, this, into);
  }

  field(name: string): string | null {
    return this.head.field(name);
  }

  get clientAddress(): string {
    return this.#target.info.downstreamRemoteAddress;
  }

  newCookie({ name, suffix }: CookieHash): string {
    const { directRemoteAddress, localAddress } = this.#target.info.connection;
    const value = cookieValue(directRemoteAddress, localAddress);
    const cookie = `${name}="${value}"${suffix}`;
    // A retry asks again.
    if (this.newCookies?.includes(cookie) !== true) (this.newCookies ??= []).push(cookie);
    return value;
  }
}
