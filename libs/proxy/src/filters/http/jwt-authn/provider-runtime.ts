import { type Jwt, KeySet } from '@meltemi/identity/jwt';
import type { AsyncPort } from '../../../http/async-request.ts';
import type { Provider } from './provider.ts';
import { RemoteKeys, type FetchStats } from './remote-keys.ts';

/** Longer tokens are verified each time. */
const maxRememberedLength = 4 * 1024;

/** A provider at work in this worker: its keys now, and tokens that they have verified. */
export class ProviderRuntime {
  readonly provider: Provider;
  /** Null when the keys are in the config. */
  readonly remote: RemoteKeys | null;
  readonly #local: KeySet | null;
  readonly #remembered = new Map<string, Jwt>();
  /** What verified the remembered tokens. */
  #rememberedBy: KeySet | null = null;

  constructor(provider: Provider, port: AsyncPort, stats: FetchStats) {
    this.provider = provider;
    this.#local = provider.keys instanceof KeySet ? provider.keys : null;
    this.remote = provider.keys instanceof KeySet ? null : new RemoteKeys(provider.keys, port, stats);
  }

  /** Null when they must be waited for. */
  get keys(): KeySet | null {
    return this.#local ?? this.remote?.current() ?? null;
  }

  get remembers(): boolean {
    return this.provider.cacheSize > 0;
  }

  /** A token that the keys in force have verified before; its times are still to be checked. */
  recall(token: string): Jwt | null {
    if (!this.remembers || this.keys === null || this.keys !== this.#rememberedBy) return null;
    const jwt = this.#remembered.get(token);
    if (jwt === undefined) return null;
    // To the end: the first one is the least used.
    this.#remembered.delete(token);
    this.#remembered.set(token, jwt);
    return jwt;
  }

  remember(token: string, jwt: Jwt, keys: KeySet): void {
    if (!this.remembers || token.length > maxRememberedLength) return;
    if (this.#rememberedBy !== keys) this.#remembered.clear();
    this.#rememberedBy = keys;
    this.#remembered.set(token, jwt);
    if (this.#remembered.size <= this.provider.cacheSize) return;
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest);
      break;
    }
  }
}
