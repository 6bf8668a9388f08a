import { fail, formatFieldErrors, ok, type Result } from '@meltemi/base';
import { buildRevocationList, fingerprintOf, parseRevocationLists, revocationListPem, withRevocations, type TrustBundle } from '@meltemi/identity';
import { isSigning, type OpenAuthority, type Signing } from '../authority.ts';
import type { Kept, RevocationStore } from '../keystore.ts';
import { nothingRevoked, type RevocationState, type RevokedIdentity, type RevokedRecord, type SignedList } from './revocation-state.ts';

/** Of certificates revoked at the same time: who wants more changes the issuing CA. Every agent gets the list. */
const maxCertificates = 2000;
const maxIdentities = 1000;
/** Lists hold so long, and are signed anew at half of it: a citadel that is away for weeks stops nobody who checks with OpenSSL. */
const listLifetimeMs = 90 * 86_400_000;
const attempts = 5;

/** What is to be believed no more. */
export interface Revocation {
  readonly certificates: readonly RevokedRecord[];
  readonly identity?: RevokedIdentity;
}

/** What is revoked, kept in the keystore, and the lists of the issuing CAs that say so. Several citadels may share it. */
export class Revocations {
  readonly #store: RevocationStore;
  #kept: Kept<RevocationState> | undefined;
  /** Of what is kept, so that the same lists give the same bundle. */
  #bundle: { readonly of: TrustBundle; readonly pem: string; readonly made: TrustBundle } | undefined;

  constructor(store: RevocationStore) {
    this.#store = store;
  }

  get state(): RevocationState {
    return this.#kept?.value ?? nothingRevoked;
  }

  /** Takes what the keystore has, and signs a list where one is due. Rejects when the keystore fails. */
  async refresh(authority: OpenAuthority, now: number): Promise<Result<void>> {
    await this.#load();
    const due = this.state.certificates.length > 0 && signers(authority).some((signing) => isDue(this.state, signing, now));
    return due ? this.#change(authority, now, (state) => state) : ok(undefined);
  }

  /** Resolves when it is kept, with the authority that says so. */
  async revoke(revocation: Revocation, authority: OpenAuthority, now: number): Promise<Result<OpenAuthority>> {
    if (authority.upstream) return fail('', 'another authority signs for this citadel: certificates are revoked there');
    const unable = signers(authority).find(({ issuer: [{ keyUsage }] }) => keyUsage && !keyUsage.has('crlSign'));
    if (unable) return fail('', 'the issuing CA may not sign revocation lists (its key usage cRLSign is missing): plug in one that may');
    await this.#load();
    const changed = await this.#change(authority, now, (state) => added(state, revocation, now));
    return changed.ok ? this.publish(authority, now) : changed;
  }

  /** The authority whose trust has what is revoked in it: the same one for the same. */
  publish(authority: OpenAuthority, now: number): Result<OpenAuthority> {
    const pem = this.state.lists.filter(({ notAfter }) => notAfter > now).map((list) => list.pem).join('');
    if (pem === '') return ok(authority);
    if (this.#bundle?.of !== authority.trust || this.#bundle.pem !== pem) {
      const made = withRevocations(authority.trust, pem);
      if (!made.ok) return fail('revocations', formatFieldErrors(made.error));
      this.#bundle = { of: authority.trust, pem, made: made.value };
    }
    return ok({ ...authority, trust: this.#bundle.made });
  }

  /** Why a certificate that was issued to an identity at a time does not renew; undefined when it does. */
  revokedIdentity(spiffeId: string, issuedAt: number): RevokedIdentity | undefined {
    return this.state.identities.find((identity) => identity.spiffeId === spiffeId && issuedAt < identity.before);
  }

  async #load(): Promise<void> {
    if ((await this.#store.revocationsRevision()) === this.#kept?.revision) return;
    this.#kept = await this.#store.loadRevocations();
  }

  async #change(authority: OpenAuthority, now: number, change: (state: RevocationState) => RevocationState): Promise<Result<void>> {
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const next = pruned(change(this.state), now);
      if (next.certificates.length > maxCertificates || next.identities.length > maxIdentities) return fail('', `more than ${maxCertificates} certificates or ${maxIdentities} identities would be revoked at the same time: rotate the root, which ends all`);
      if ((await this.#store.saveRevocations(withSignedLists(next, authority, now), this.#kept?.revision)) === 'saved') {
        this.#kept = await this.#store.loadRevocations();
        return ok(undefined);
      }
      this.#kept = await this.#store.loadRevocations();
    }
    return fail('', 'others changed what is revoked at the same time, again and again; try again');
  }
}

/** In a rotation two: the one that signs for workloads, and the one that signs for citadel itself. */
function signers(authority: OpenAuthority): Signing[] {
  const { serving } = authority;
  if (!isSigning(authority)) return [];
  return serving && serving.issuer[0].pem !== authority.issuer[0].pem ? [authority, serving] : [authority];
}

function isDue({ certificates, lists }: RevocationState, { issuer: [issuing] }: Signing, now: number): boolean {
  const own = lists.find((list) => list.issuer === fingerprintOf(issuing));
  const parsed = own && parseRevocationLists(own.pem);
  const list = parsed?.ok ? parsed.value[0] : undefined;
  if (!list) return true;
  return now > (list.thisUpdate + list.nextUpdate) / 2 || certificates.some(({ serial }) => !list.serials.has(serial));
}

function added(state: RevocationState, { certificates, identity }: Revocation, now: number): RevocationState {
  const known = new Set(state.certificates.map(({ serial }) => serial));
  const fresh = certificates.filter(({ serial, notAfter }) => !known.has(serial) && notAfter > now);
  const identities = identity ? [...state.identities.filter(({ spiffeId }) => spiffeId !== identity.spiffeId), identity] : state.identities;
  return { ...state, certificates: [...state.certificates, ...fresh], identities };
}

/** Without what has ended by itself. */
function pruned(state: RevocationState, now: number): RevocationState {
  return { ...state, certificates: state.certificates.filter(({ notAfter }) => notAfter > now), identities: state.identities.filter(({ before }) => before + listLifetimeMs > now), lists: state.lists.filter(({ notAfter }) => notAfter > now) };
}

function withSignedLists(state: RevocationState, authority: OpenAuthority, now: number): RevocationState {
  const number = state.number + 1;
  const signed = signers(authority).map(({ issuer: [issuing], signer }): SignedList => {
    const nextUpdate = Math.min(now + listLifetimeMs, issuing.notAfter);
    return { issuer: fingerprintOf(issuing), notAfter: issuing.notAfter, pem: revocationListPem(buildRevocationList({ number, thisUpdate: now - clockSkewMs, nextUpdate, revoked: state.certificates }, signer)) };
  });
  const issuers = new Set(signed.map(({ issuer }) => issuer));
  return { ...state, number, lists: [...state.lists.filter(({ issuer }) => !issuers.has(issuer)), ...signed] };
}

/** Slow clocks must take a list that was signed a moment ago. */
const clockSkewMs = 120_000;
