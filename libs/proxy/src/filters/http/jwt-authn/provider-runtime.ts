import { type Jwt, KeySet } from '@meltemi/identity/jwt';
import type { AsyncPort } from '../../../http/async-request.ts';
import type { Provider } from './provider.ts';
import { RemoteKeys, type FetchStats } from './remote-keys.ts';
import { VerifiedTokens } from './verified-tokens.ts';

/** A provider at work in this worker: its keys now, and tokens that they have verified. */
export class ProviderRuntime {
  readonly provider: Provider;
  /** Null when the keys are in the config. */
  readonly remote: RemoteKeys | null;
  readonly #local: KeySet | null;
  readonly #verified: VerifiedTokens;

  constructor(provider: Provider, port: AsyncPort, stats: FetchStats) {
    this.provider = provider;
    this.#local = provider.keys instanceof KeySet ? provider.keys : null;
    this.remote = provider.keys instanceof KeySet ? null : new RemoteKeys(provider.keys, port, stats);
    this.#verified = new VerifiedTokens(provider.cacheSize);
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
    const keys = this.remembers ? this.keys : null;
    return keys === null ? null : this.#verified.recall(token, keys);
  }

  remember(token: string, jwt: Jwt, keys: KeySet): void {
    if (this.remembers) this.#verified.remember(token, jwt, keys);
  }
}
