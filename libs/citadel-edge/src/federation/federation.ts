import { mathRandom, systemClock, type Clock, type Random } from '@meltemi/base';
import { createTrustBundle, parseBundleDocument, withFederated, type FederatedRoots, type TrustBundle } from '@meltemi/identity';
import type { CitadelLog } from '../certificate-handlers.ts';
import type { BundleEndpoint, BundleGetter } from './bundle-endpoint.ts';

/** Another trust domain, and how its roots become known. */
export interface FederatedDomain {
  readonly trustDomain: string;
  /** To begin with: given by hand. Without an endpoint they are all there is. */
  readonly rootsPem: readonly string[];
  readonly endpoint?: BundleEndpoint;
}

/** Keeps the last good roots over a restart. */
export interface FederationStore {
  load(): Promise<readonly FederatedRoots[]>;
  save(roots: readonly FederatedRoots[]): Promise<void>;
}

export interface FederationOptions {
  readonly domains: readonly FederatedDomain[];
  readonly get: BundleGetter;
  readonly store: FederationStore;
  readonly log: CitadelLog;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** What is known of one trust domain, for metrics and status. */
export interface FederatedStatus {
  readonly trustDomain: string;
  readonly roots: number;
  /** When its endpoint last answered well, milliseconds since the epoch; 0 = never since the start. */
  readonly fetchedAt: number;
  /** Why the last attempt failed; "" when it did not. */
  readonly failure: string;
}

const defaultRefreshMs = 300_000;
const minRefreshMs = 1_000;
const maxRefreshMs = 86_400_000;
const firstRetryMs = 1_000;

interface Followed {
  readonly domain: FederatedDomain;
  rootsPem: readonly string[];
  /** Of JWT-SVIDs, a JWK set; "": none are known. */
  jwtKeys: string;
  sequence: number | undefined;
  refreshMs: number;
  failures: number;
  failure: string;
  /** Keys of JWT-SVIDs that its document had too many of, as told. */
  leftOut: string;
  fetchedAt: number;
  cancel: () => void;
}

/**
 * The roots of other trust domains: each is asked again as soon as its document hints, more seldom while it fails, and its last good roots stay.
 * What an endpoint says counts for its own trust domain alone.
 */
export class Federation {
  readonly #options: FederationOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  #followed: readonly Followed[];
  readonly #stopping = new AbortController();
  #current: readonly FederatedRoots[] = [];
  #onChange: () => void = () => undefined;

  constructor(options: FederationOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? mathRandom;
    this.#followed = options.domains.map((domain) => followed(domain, domain.rootsPem));
    this.#settle();
  }

  /** Takes what was kept, and begins to ask. `onChange` is told whenever `current` is another one. */
  async start(onChange: () => void): Promise<void> {
    this.#onChange = onChange;
    const kept = await this.#options.store.load().catch((cause: unknown) => {
      this.#options.log.warn({ reason: String(cause) }, 'the kept roots of federated trust domains cannot be read; they are asked for anew');
      return [];
    });
    for (const one of this.#followed) {
      const known = kept.find(({ trustDomain }) => trustDomain === one.domain.trustDomain);
      if (known && one.domain.endpoint) Object.assign(one, { rootsPem: known.rootsPem, jwtKeys: known.jwtKeys ?? '' });
    }
    this.#settle();
    if (kept.length > 0) onChange();
    for (const one of this.#followed) if (one.domain.endpoint) void this.#ask(one, one.domain.endpoint);
  }

  /** Exactly these from now on. A trust domain whose entry is the same goes on with the roots it has; one without other roots by hand begins with those, and the keys, known until now. */
  update(domains: readonly FederatedDomain[]): void {
    const before = this.#followed;
    this.#followed = domains.map((domain) => {
      const same = before.find((one) => JSON.stringify(one.domain) === JSON.stringify(domain));
      const known = before.find((one) => one.domain.trustDomain === domain.trustDomain);
      const goesOn = domain.endpoint && (domain.rootsPem.length === 0 || domain.rootsPem.join('') === known?.domain.rootsPem.join(''));
      return same ?? (goesOn && known ? followed(domain, known.rootsPem, known.jwtKeys) : followed(domain, domain.rootsPem));
    });
    for (const one of before) if (!this.#followed.includes(one)) one.cancel();
    this.#settle();
    this.#onChange();
    for (const one of this.#followed) if (!before.includes(one) && one.domain.endpoint) void this.#ask(one, one.domain.endpoint);
  }

  /** The roots in force: trust domains that have any. Immutable. */
  current(): readonly FederatedRoots[] {
    return this.#current;
  }

  status(): FederatedStatus[] {
    return this.#followed.map(({ domain, rootsPem, fetchedAt, failure }) => ({ trustDomain: domain.trustDomain, roots: rootsPem.length, fetchedAt, failure }));
  }

  stop(): void {
    this.#stopping.abort();
    for (const one of this.#followed) one.cancel();
  }

  async #ask(one: Followed, endpoint: BundleEndpoint): Promise<void> {
    const { log, get } = this.#options;
    const { trustDomain } = one.domain;
    try {
      const text = await get(endpoint, { trustDomain, rootsPem: one.rootsPem, signal: this.#stopping.signal });
      if (!this.#followed.includes(one)) return;
      const document = parseBundleDocument(text);
      if (!document.ok) throw new Error(`its bundle document cannot be used: ${document.error[0]?.path}: ${document.error[0]?.message}`);
      const { roots, jwtKeys, leftOut, sequence, refreshHintSeconds } = document.value;
      if (one.failure !== '') log.info({ trustDomain }, 'the roots of a federated trust domain are fetched again');
      if (leftOut.length > 0 && leftOut.join() !== one.leftOut) log.warn({ trustDomain, leftOut: leftOut.slice(0, 10) }, "keys of a federated trust domain's JWT-SVIDs are left out: tokens signed with them are not believed");
      Object.assign(one, { leftOut: leftOut.join(), failures: 0, failure: '', fetchedAt: this.#clock.now(), sequence, refreshMs: refreshHintSeconds === undefined ? defaultRefreshMs : Math.min(maxRefreshMs, Math.max(minRefreshMs, refreshHintSeconds * 1000)) });
      await this.#take(one, roots.map((root) => root.pem), jwtKeys);
    } catch (cause) {
      if (this.#stopping.signal.aborted || !this.#followed.includes(one)) return;
      const reason = cause instanceof Error ? cause.message : String(cause);
      one.failures += 1;
      if (reason !== one.failure) log.warn({ trustDomain, url: endpoint.url, reason, roots: one.rootsPem.length }, 'the roots of a federated trust domain cannot be fetched; those it had stay');
      one.failure = reason;
    }
    if (this.#stopping.signal.aborted || !this.#followed.includes(one)) return;
    const waitMs = one.failures === 0 ? one.refreshMs : Math.min(Math.max(one.refreshMs, firstRetryMs), firstRetryMs * 2 ** Math.min(one.failures - 1, 10));
    one.cancel = this.#clock.after(waitMs * (0.75 + this.#random.next() * 0.25), () => void this.#ask(one, endpoint));
  }

  async #take(one: Followed, rootsPem: readonly string[], jwtKeys: string): Promise<void> {
    const sameRoots = rootsPem.join('') === one.rootsPem.join('');
    if (sameRoots && jwtKeys === one.jwtKeys) return;
    const { log, store } = this.#options;
    const { trustDomain } = one.domain;
    if (sameRoots) log.info({ audit: true, trustDomain, sequence: one.sequence }, "the keys of a federated trust domain's JWT-SVIDs have changed");
    else log.info({ audit: true, trustDomain, roots: rootsPem.length, sequence: one.sequence }, rootsPem.length === 0 ? 'a federated trust domain has revoked its roots: nobody of it is believed any more' : 'the roots of a federated trust domain have changed');
    Object.assign(one, { rootsPem, jwtKeys });
    this.#settle();
    this.#onChange();
    await store.save(this.#followed.filter(({ domain }) => domain.endpoint).map((each) => ({ trustDomain: each.domain.trustDomain, rootsPem: each.rootsPem, jwtKeys: each.jwtKeys })))
      .catch((cause: unknown) => log.warn({ reason: String(cause) }, 'the roots of federated trust domains could not be kept; a restart begins with those given by hand'));
  }

  #settle(): void {
    this.#current = Object.freeze(this.#followed.filter(({ rootsPem }) => rootsPem.length > 0).map(({ domain, rootsPem, jwtKeys }) => Object.freeze({ trustDomain: domain.trustDomain, rootsPem: Object.freeze([...rootsPem]), ...(jwtKeys !== '' && { jwtKeys }) })));
  }
}

function followed(domain: FederatedDomain, rootsPem: readonly string[], jwtKeys = ''): Followed {
  return { domain, rootsPem, jwtKeys, sequence: undefined, refreshMs: defaultRefreshMs, failures: 0, failure: '', leftOut: '', fetchedAt: 0, cancel: () => undefined };
}

/** Whether domains can stand beside each other in the bundle of `trustDomain`: undefined, or the reason why not. */
export function federationProblem(trustDomain: string, domains: readonly FederatedDomain[]): string | undefined {
  // Any root does: the names are what is looked at.
  const own: TrustBundle = { trustDomain, roots: [], pem: '' };
  for (const domain of domains) {
    const roots = domain.rootsPem.length > 0 ? createTrustBundle(domain.trustDomain, domain.rootsPem) : undefined;
    if (roots && !roots.ok) return `${domain.trustDomain}: ${roots.error[0]?.message}`;
  }
  const named = withFederated(own, domains.filter(({ rootsPem }) => rootsPem.length > 0));
  if (!named.ok) return named.error[0]?.message;
  const names = [trustDomain, ...domains.map((domain) => domain.trustDomain)];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? undefined : `trust domain ${twice} is named twice, or is our own`;
}
