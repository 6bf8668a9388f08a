import { createPrivateKey, type KeyObject } from 'node:crypto';
import { fail, formatFieldErrors, ok, type Result } from '@meltemi/base';
import { withJwtKeys, type TrustBundle } from '@meltemi/identity';
import { signJwtSvid } from '@meltemi/identity/jwt';
import type { Entropy } from '../entropy.ts';
import type { JwtKeyStore, Kept } from '../keystore.ts';
import { maxJwtLifetimeMs, publicJwtKeys, renewedKeys, signingKey, type JwtKeys } from './jwt-keys.ts';

/** A signed token, and what the audit says of it. */
export interface JwtSvid {
  readonly token: string;
  readonly spiffeId: string;
  readonly audiences: readonly string[];
  readonly keyId: string;
  /** `jti`. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface JwtSvidOrder {
  readonly spiffeId: string;
  readonly audiences: readonly string[];
  readonly lifetimeMs: number;
  readonly now: number;
}

const attempts = 5;
const none: JwtKeys = { keys: [] };

/** The keys of JWT-SVIDs, kept in the keystore and renewed: by whichever citadel is first, for all that share it. */
export class JwtAuthority {
  readonly #store: JwtKeyStore;
  readonly #entropy: Entropy;
  #kept: Kept<JwtKeys> | undefined;
  #publicKeys = '';
  #signer: { readonly id: string; readonly key: KeyObject } | undefined;
  #bundle: { readonly of: TrustBundle; readonly keys: string; readonly made: TrustBundle } | undefined;

  constructor(store: JwtKeyStore, entropy: Entropy) {
    this.#store = store;
    this.#entropy = entropy;
  }

  /** Takes what the keystore has, and makes a key where one is due. Rejects when the keystore fails. */
  async refresh(now: number): Promise<Result<void>> {
    if (this.#kept === undefined || (await this.#store.jwtKeysRevision()) !== this.#kept.revision) await this.#load();
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const next = renewedKeys(this.#kept?.value ?? none, now, () => this.#entropy.bytes(16).toString('hex'));
      if (!next) return ok(undefined);
      await this.#store.saveJwtKeys(next, this.#kept?.revision);
      await this.#load();
    }
    return fail('JWT keys', 'others changed them at the same time, again and again');
  }

  /** The bundle with the keys of now: the same one for the same. */
  publish(trust: TrustBundle): Result<TrustBundle> {
    if (this.#bundle?.of !== trust || this.#bundle.keys !== this.#publicKeys) {
      const made = withJwtKeys(trust, this.#publicKeys);
      if (!made.ok) return fail('JWT keys', formatFieldErrors(made.error));
      this.#bundle = { of: trust, keys: this.#publicKeys, made: made.value };
    }
    return ok(this.#bundle.made);
  }

  /** Undefined: no key may sign now. */
  sign({ spiffeId, audiences, lifetimeMs, now }: JwtSvidOrder): JwtSvid | undefined {
    const active = signingKey(this.#kept?.value ?? none, now);
    if (!active) return undefined;
    if (this.#signer?.id !== active.id) this.#signer = { id: active.id, key: createPrivateKey(active.privateKeyPem) };
    const issuedAt = Math.floor(now / 1000);
    const expires = Math.floor((now + Math.min(lifetimeMs, maxJwtLifetimeMs)) / 1000);
    const id = this.#entropy.bytes(16).toString('hex');
    return { token: signJwtSvid({ spiffeId, audiences, issuedAt, expires, id }, { keyId: active.id, key: this.#signer.key }), spiffeId, audiences, keyId: active.id, id, expiresAt: expires * 1000 };
  }

  async #load(): Promise<void> {
    this.#kept = await this.#store.loadJwtKeys();
    this.#publicKeys = publicJwtKeys(this.#kept?.value ?? none);
  }
}
