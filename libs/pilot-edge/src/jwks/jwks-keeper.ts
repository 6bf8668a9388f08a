import type { Clock } from '@meltemi/base';
import type { FetchedKeys, KeySets, WantedKeys } from '@meltemi/pilot';
import type { KeyServer } from './key-server.ts';

export interface JwksKeeperOptions {
  readonly server: KeyServer;
  readonly clock: Clock;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  readonly stats: { readonly fetched: { inc(): void }; readonly failed: { inc(): void } };
  /** `keySets` is another map now. */
  readonly onChange: () => void;
  /** Default 20 minutes, as Istio's PILOT_JWT_PUB_KEY_REFRESH_INTERVAL. */
  readonly refreshMs?: number;
}

const defaultRefreshMs = 20 * 60_000;
/** After a failure: doubled each time, up to a minute while there are no keys, to the refresh interval when there are. */
const firstRetryMs = 1_000;
const longestRetryMs = 60_000;
/** Keys that could not be fetched again for so long are not believed any more. */
const staleMs = 7 * 24 * 3_600_000;
/** Policies may name more issuers, but no more are fetched: the tokens of the others are refused. */
const maxKeySets = 1_000;

/** Keeps the key sets that policies name by URL: fetches them, fetches them again, and keeps the last good ones when that fails. */
export class JwksKeeper {
  readonly #options: JwksKeeperOptions;
  readonly #entries = new Map<string, Entry>();
  #keySets: KeySets = new Map();

  constructor(options: JwksKeeperOptions) {
    this.#options = options;
  }

  /** What is known now; immutable. */
  get keySets(): KeySets {
    return this.#keySets;
  }

  /** From now on exactly these are kept. */
  want(wanted: readonly WantedKeys[]): void {
    const ids = new Set(wanted.map(({ id }) => id));
    for (const [id, entry] of this.#entries) {
      if (ids.has(id)) continue;
      entry.stop();
      this.#entries.delete(id);
      if (entry.keys) this.#publish();
    }
    for (const keys of wanted) {
      const known = this.#entries.get(keys.id);
      if (known) known.wanted = keys;
      else if (this.#entries.size < maxKeySets) this.#add(keys);
      else this.#options.log.warn({ issuer: keys.issuer, most: maxKeySets }, 'too many issuers: the keys of this one are not fetched, and its tokens are refused');
    }
  }

  /** Resolves once everything wanted now was asked for once, or after `withinMs`. */
  tried(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(withinMs, resolve);
      void Promise.all([...this.#entries.values()].map(({ first }) => first)).then(() => {
        cancel();
        resolve();
      });
    });
  }

  stop(): void {
    for (const entry of this.#entries.values()) entry.stop();
    this.#entries.clear();
  }

  #add(wanted: WantedKeys): void {
    const entry = new Entry(wanted);
    this.#entries.set(wanted.id, entry);
    entry.first = this.#fetch(entry);
  }

  /** Never rejects. */
  async #fetch(entry: Entry): Promise<void> {
    const { clock, stats, log } = this.#options;
    try {
      const jwks = await this.#read(entry);
      if (entry.stopped) return;
      stats.fetched.inc();
      entry.failures = 0;
      entry.fetchedMs = clock.monotonic();
      if (entry.keys?.jwks !== jwks) {
        entry.keys = { jwks };
        log.info({ issuer: entry.wanted.issuer }, 'keys of an issuer are new');
        this.#publish();
      }
    } catch (cause) {
      if (entry.stopped) return;
      stats.failed.inc();
      entry.failures += 1;
      log.warn({ issuer: entry.wanted.issuer, jwksUri: entry.wanted.jwksUri, reason: reasonOf(cause), lastGoodInForce: entry.keys !== undefined }, 'keys of an issuer cannot be fetched');
      this.#dropStale(entry);
    }
    entry.cancel = clock.after(this.#delay(entry), () => void this.#fetch(entry));
  }

  async #read(entry: Entry): Promise<string> {
    const { issuer, jwksUri, timeoutMs } = entry.wanted;
    const limits = { timeoutMs, signal: entry.signal };
    const uri = jwksUri !== '' ? jwksUri : jwksUriIn(await this.#options.server.get(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, limits), issuer);
    return checked(await this.#options.server.get(uri, limits));
  }

  #delay({ failures, keys }: Entry): number {
    const refreshMs = this.#options.refreshMs ?? defaultRefreshMs;
    return failures === 0 ? refreshMs : Math.min(firstRetryMs * 2 ** (failures - 1), keys ? refreshMs : longestRetryMs);
  }

  #dropStale(entry: Entry): void {
    if (!entry.keys || this.#options.clock.monotonic() - entry.fetchedMs < staleMs) return;
    entry.keys = undefined;
    this.#publish();
  }

  #publish(): void {
    this.#keySets = new Map([...this.#entries].flatMap(([id, { keys }]) => (keys ? [[id, keys] as const] : [])));
    this.#options.onChange();
  }
}

class Entry {
  wanted: WantedKeys;
  keys: FetchedKeys | undefined;
  fetchedMs = 0;
  failures = 0;
  cancel: () => void = () => {};
  /** The first try. */
  first: Promise<void> = Promise.resolve();
  readonly #stopping = new AbortController();

  constructor(wanted: WantedKeys) {
    this.wanted = wanted;
  }

  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  get stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  stop(): void {
    this.cancel();
    this.#stopping.abort();
  }
}

/** An issuer that is asked over https does not send us to http, where anyone on the way could answer. */
function jwksUriIn(text: string, issuer: string): string {
  const uri = (parsed(text) as { readonly jwks_uri?: unknown } | null)?.jwks_uri;
  if (typeof uri !== 'string' || !/^https?:\/\//i.test(uri)) throw new Error('the OpenID configuration of the issuer names no jwks_uri');
  if (/^https:/i.test(issuer) && !/^https:/i.test(uri)) throw new Error('the OpenID configuration of the issuer, which was read over https, names a jwks_uri over http');
  return uri;
}

/** Only a key set goes to proxies: whatever else a URL answers is nobody's business there. */
function checked(text: string): string {
  const keys = (parsed(text) as { readonly keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every((key: unknown) => typeof (key as { readonly kty?: unknown } | null)?.kty === 'string')) throw new Error('the answer is not a key set');
  return text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('the answer is not JSON');
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
