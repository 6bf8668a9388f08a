import { err, ok, type Clock, type FieldError, type Result } from '@meltemi/base';
import { buildCsr, controlPlaneId, fingerprintOf, formatJoinToken, formatSpiffeId, generateP256, parseCsr, parseSpiffeId } from '@meltemi/identity';
import type { SpiffeId, TrustBundle, WorkloadCertificate } from '@meltemi/identity';
import { authenticate, hashTokenSecret } from './callers/authenticate.ts';
import type { Caller, CallerProof, TokenCallers } from './callers/caller.ts';
import { isSigning, type Authority, type OpenAuthority } from './authority.ts';
import { controlPlaneNames } from './control-plane-names.ts';
import type { Entropy } from './entropy.ts';
import { refuse, type CitadelError } from './errors.ts';
import { grantedNames } from './granted-names.ts';
import { issueCertificate, type IssuedCertificate, type IssueOrder } from './issue.ts';
import { JwtAuthority, type JwtSvid } from './jwt/jwt-authority.ts';
import type { IssuedStore, JwtKeyStore, RevocationStore, TokenStore } from './keystore.ts';
import { issueUpstream } from './upstream/issue-upstream.ts';
import { IssuedLog } from './revocation/issued-log.ts';
import type { IssuedRecord } from './revocation/issued-record.ts';
import { RecentIssuances } from './revocation/recent-issuances.ts';
import { isSerial, type RevocationState, type RevokedRecord } from './revocation/revocation-state.ts';
import { Revocations } from './revocation/revocations.ts';

/** How citadel is set up. */
export interface CertificateServiceOptions {
  readonly trustDomain: string;
  readonly authority: Authority;
  /** Of join tokens, revocations, what was issued, and the keys of JWT-SVIDs. */
  readonly keystore: TokenStore & RevocationStore & IssuedStore & JwtKeyStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Lifetime when a request names none. Default 24 h. */
  readonly defaultLifetimeMs?: number;
  /** No certificate lives longer, whatever is asked. Default 90 days. */
  readonly maxLifetimeMs?: number;
  /** Bearer tokens that count beside join tokens; the first that recognizes one judges it. */
  readonly tokenCallers?: readonly TokenCallers[];
  /** SPIFFE ids that may ask for any identity of the trust domain: other citadels that sign through this one. Default none. */
  readonly registrationAuthorities?: readonly string[];
  /** What an operator should know, said once for as long as it lasts. */
  readonly onProblem?: (reason: string) => void;
}

/** An issued certificate and how it came to be: what the audit says. */
export interface Issuance extends IssuedCertificate {
  readonly id: SpiffeId;
  readonly how: Caller['how'];
  readonly caller: Caller;
}

/** Why there is no certificate, and for whom: what the audit says. */
export interface Refusal extends CitadelError {
  /** Undefined: nobody proved anything. */
  readonly caller?: Caller;
}

/** What is to be revoked: certificates by serial, those of an identity, or both. */
export interface RevokeRequest {
  /** Hex, as certificates and audit lines show it; colons and capitals are fine. */
  readonly serials: readonly string[];
  /** "" for none. */
  readonly spiffeId: string;
}

export interface RevokeOutcome {
  /** Everything that is on the lists because of the request. */
  readonly serials: readonly string[];
  /** Of those asked for, the ones no citadel remembers to have issued: they count, but may be mistyped. Empty when that cannot be found out. */
  readonly unknown: readonly string[];
  /** What may be missing; "" when nothing is. */
  readonly warning: string;
}

const dayMs = 86_400_000;
const defaultTokenLifetimeMs = 600_000;
const maxTokenLifetimeMs = dayMs;
/** Expired tokens are remembered for an hour, so that their holders are told "expired" instead of "unknown". */
const tokenMemoryMs = 3_600_000;
const maxTokens = 10_000;
/** How often old tokens are looked for, at most. */
const pruneMs = 60_000;
const lookAgainMs = 1000;
const defaultJwtLifetimeMs = 300_000;
const maxAudiences = 16;
const maxAudienceChars = 512;

/** Opens the authority. Rejects when a keystore fails. */
export async function openCertificateService(options: CertificateServiceOptions): Promise<Result<CertificateService>> {
  const service = new CertificateService(options);
  const opened = await service.maintain();
  return opened.ok ? ok(service) : opened;
}

/** Citadel's decisions: who is asking, what may they have, sign it, check it. No socket, no file. */
export class CertificateService {
  readonly #options: CertificateServiceOptions;
  readonly #defaultLifetimeMs: number;
  readonly #maxLifetimeMs: number;
  readonly #revocations: Revocations;
  readonly #issued: IssuedLog;
  readonly #recent = new RecentIssuances();
  readonly #jwt: JwtAuthority;
  /** The last good one, as it came. */
  #opened: OpenAuthority | undefined;
  /** With what is revoked and the keys of JWT-SVIDs: what is in force. */
  #authority: OpenAuthority | undefined;
  /** On the monotonic clock. */
  #pruneAt = 0;
  #lookAgainAt = 0;

  constructor(options: CertificateServiceOptions) {
    this.#options = options;
    this.#revocations = new Revocations(options.keystore);
    this.#issued = new IssuedLog({ store: options.keystore, clock: options.clock, entropy: options.entropy, onProblem: (reason) => options.onProblem?.(reason) });
    this.#jwt = new JwtAuthority(options.keystore, options.entropy);
    this.#maxLifetimeMs = options.maxLifetimeMs ?? 90 * dayMs;
    this.#defaultLifetimeMs = Math.min(options.defaultLifetimeMs ?? dayMs, this.#maxLifetimeMs);
  }

  /**
   * Brings the authority up to date and forgets tokens and certificates that have ended, also while a part of the authority is wrong. To be called at the start
   * and now and then. An error leaves the last good authority in force. Rejects when a keystore fails.
   */
  async maintain(): Promise<Result<void>> {
    const [refreshed] = await Promise.allSettled([this.refresh()]);
    const [pruned] = await Promise.allSettled([this.#prune()]);
    if (refreshed.status === 'rejected') throw refreshed.reason;
    if (refreshed.value.ok && pruned.status === 'rejected') throw pruned.reason;
    return refreshed.value;
  }

  async #prune(): Promise<void> {
    const { keystore, clock } = this.#options;
    // Where no authority could be opened nothing is touched.
    if (!this.#authority || clock.monotonic() < this.#pruneAt) return;
    this.#pruneAt = clock.monotonic() + pruneMs;
    const outcomes = await Promise.allSettled([keystore.pruneTokens(clock.now() - tokenMemoryMs), this.#issued.prune(clock.now())]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Writes down what is not written yet. */
  stop(): Promise<void> {
    return this.#issued.stop();
  }

  /**
   * Puts in force what the authority, the keys of JWT-SVIDs and the revocations are now. One that is wrong holds up no other: of it the last good state stays,
   * and an error says why. Rejects when a keystore fails, after the others, too.
   */
  async refresh(): Promise<Result<void>> {
    const now = this.#options.clock.now();
    const errors: FieldError[] = [];
    const causes: unknown[] = [];
    const part = async <T>(work: () => Result<T> | Promise<Result<T>>): Promise<T | undefined> => {
      try {
        const outcome = await work();
        if (outcome.ok) return outcome.value;
        errors.push(...outcome.error);
      } catch (cause) {
        causes.push(cause);
      }
      return undefined;
    };
    const opened = (await part(() => this.#options.authority.refresh(now))) ?? this.#opened;
    this.#opened = opened;
    if (opened) {
      // Where the key is elsewhere, there is none for tokens here either.
      if (!opened.upstream) await part(() => this.#jwt.refresh(now));
      const trust = opened.upstream ? undefined : await part(() => this.#jwt.publish(opened.trust));
      const read = await part(async () => {
        const refreshed = await this.#revocations.refresh(opened, now);
        return refreshed.ok ? ok(true) : refreshed;
      });
      this.#authority = (await part(() => this.#revocations.publish({ ...opened, trust: trust ?? opened.trust }, now))) ?? this.#authority;
      const late = await part(() => this.#revokeLate(now));
      // Of what could not be read nothing is late: those need another look.
      if (read && late) this.#recent.forget(now);
    }
    if (causes.length > 0) throw causes[0];
    return errors.length > 0 ? err(errors) : ok(undefined);
  }

  /** Takes back what was issued on a proof that was revoked at the same time, here or at another citadel. */
  async #revokeLate(now: number): Promise<Result<true>> {
    const late = this.#recent.late(this.#revocations.state);
    if (late.length > 0) {
      const revoked = await this.#revocations.revoke({ certificates: late }, this.#open(), now);
      if (!revoked.ok) return revoked;
      this.#authority = revoked.value;
      this.#options.onProblem?.(`${late.length} certificates were issued while what was shown for them was being revoked, and are revoked, too: ${late.slice(0, 10).map(({ serial }) => serial).join(', ')}`);
    }
    return ok(true);
  }

  /** What is in force. Immutable. */
  authority(): OpenAuthority {
    return this.#open();
  }

  trust(): TrustBundle {
    return this.#open().trust;
  }

  /** When the root ends, milliseconds since the epoch. */
  rootNotAfter(): number {
    return this.#open().root.notAfter;
  }

  /** Of the CA that signs. */
  issuingSerial(): string {
    return this.#open().issuer[0].serial;
  }

  /** Istio's CreateCertificate. `requestedMs` 0 means the default; longer than the maximum is shortened, not refused. */
  async createCertificate(request: { readonly csr: string; readonly requestedMs: number; readonly proof: CallerProof }): Promise<Result<Issuance, Refusal>> {
    const { clock, keystore, tokenCallers = [] } = this.#options;
    const now = clock.now();
    const by = { keystore, now, tokens: tokenCallers, revokedIdentity: (spiffeId: string, issuedAt: number) => this.#revocations.revokedIdentity(spiffeId, issuedAt) };
    let authority = this.#open();
    let caller = await authenticate(request.proof, authority, by);
    if (!caller.ok && (await this.#changedElsewhere(authority))) {
      authority = this.#open();
      caller = await authenticate(request.proof, authority, by);
    }
    if (!caller.ok) return caller;
    const issued = await this.#certify(request, caller.value, { authority, now });
    if (issued.ok && !authority.upstream) this.#remember(issued.value, caller.value, now);
    return issued.ok ? ok({ ...issued.value, how: caller.value.how, caller: caller.value }) : err({ ...issued.error, caller: caller.value });
  }

  #remember({ id, certificate: { serial, notAfter } }: IssuedCertificate & { readonly id: SpiffeId }, { shown }: Caller, at: number): void {
    const spiffeId = formatSpiffeId(id);
    this.#issued.add({ serial, spiffeId, notAfter });
    this.#recent.add({ serial, spiffeId, notAfter, at, shown });
  }

  /** True when another citadel has just changed the authority: its callers may come here before this one has looked. Looks at most once a second. */
  async #changedElsewhere(before: OpenAuthority): Promise<boolean> {
    const now = this.#options.clock.monotonic();
    if (now < this.#lookAgainAt) return this.#open() !== before;
    this.#lookAgainAt = now + lookAgainMs;
    await this.refresh().catch(() => undefined);
    const after = this.#open();
    return after.issuer[0].pem !== before.issuer[0].pem || after.trust.pem !== before.trust.pem;
  }

  async #certify(request: { readonly csr: string; readonly requestedMs: number }, caller: Caller, by: { readonly authority: OpenAuthority; readonly now: number }): Promise<Result<IssuedCertificate & { readonly id: SpiffeId }, CitadelError>> {
    const { trustDomain, registrationAuthorities } = this.#options;
    const csr = parseCsr(request.csr);
    if (!csr.ok) return refuse('request', 'invalid', csr.error[0]?.message ?? 'the certificate request cannot be read');
    const names = grantedNames(csr.value, caller, { trustDomain, registrationAuthorities: new Set(registrationAuthorities) });
    if (!names.ok) return names;
    if (!(request.requestedMs >= 0)) return refuse('request', 'invalid', 'validityDuration must not be negative');
    const lifetimeMs = Math.min(request.requestedMs === 0 ? this.#defaultLifetimeMs : request.requestedMs, this.#maxLifetimeMs);
    if (by.authority.upstream && csr.value.uris.length === 0) return refuse('request', 'invalid', 'the request must name its identity: another authority signs it, and reads the name there');
    const issued = await this.#sign(by.authority, { publicKey: csr.value.publicKey, ...names.value, lifetimeMs, now: by.now }, request.csr);
    if (!issued.ok) return issued;
    const settled = await caller.settle();
    return settled.ok ? ok({ ...issued.value, id: names.value.id }) : settled;
  }

  async #sign(authority: OpenAuthority, order: IssueOrder, csr: string): Promise<Result<IssuedCertificate, CitadelError>> {
    if (authority.upstream) return issueUpstream(authority, order, { upstream: authority.upstream, csr });
    return isSigning(authority) ? issueCertificate(authority, order, this.#options.entropy) : refuse('signing', 'internal', 'the authority has no key');
  }

  /**
   * A JWT-SVID of the caller's own identity, which a certificate proves and nothing else: a token would make another for whoever stole it. It ends after
   * `requestedMs` (0: 5 minutes), an hour, or with the certificate, whatever is first.
   */
  async createJwtSvid(request: { readonly proof: CallerProof; readonly audiences: readonly string[]; readonly requestedMs: number }): Promise<Result<JwtSvid, Refusal>> {
    const { clock, keystore } = this.#options;
    const { audiences, requestedMs, proof: { certificate } } = request;
    const now = clock.now();
    if (!certificate) return refuse('authentication', 'unauthenticated', 'connect with a valid certificate of this mesh');
    const by = { keystore, now, tokens: [], revokedIdentity: (spiffeId: string, issuedAt: number) => this.#revocations.revokedIdentity(spiffeId, issuedAt) };
    let caller = await authenticate({ certificate }, this.#open(), by);
    if (!caller.ok && (await this.#changedElsewhere(this.#open()))) caller = await authenticate({ certificate }, this.#open(), by);
    if (!caller.ok) return caller;
    const refused = (code: CitadelError['code'], message: string): Result<never, Refusal> => err({ code, message, stage: 'request', caller: caller.value });
    if (this.#open().upstream) return refused('invalid', 'another authority signs for this citadel: it has no key for JWT-SVIDs');
    if (audiences.length === 0 || audiences.length > maxAudiences || !audiences.every(isAudience)) return refused('invalid', `audience: 1 to ${maxAudiences} are needed, of 1 to ${maxAudienceChars} characters each`);
    if (!(requestedMs >= 0)) return refused('invalid', 'ttl_seconds must not be negative');
    const lifetimeMs = Math.min(requestedMs === 0 ? defaultJwtLifetimeMs : requestedMs, certificate.notAfter - now);
    if (lifetimeMs < 1000) return refused('denied', 'the certificate ends within a second: renew it first');
    const signed = this.#jwt.sign({ spiffeId: formatSpiffeId(caller.value.ids[0]), audiences: [...new Set(audiences)], lifetimeMs, now });
    return signed ? ok(signed) : refused('unavailable', 'no key may sign now; try again');
  }

  /** Mints a token for one identity. `lifetimeMs` 0 means 10 minutes; at most a day. */
  async createJoinToken(request: { readonly spiffeId: string; readonly lifetimeMs: number }): Promise<Result<{ readonly token: string; readonly expiresAt: number; readonly id: SpiffeId }, CitadelError>> {
    const { trustDomain, clock, entropy, keystore } = this.#options;
    const id = parseSpiffeId(request.spiffeId);
    if (!id.ok) return refuse('request', 'invalid', `spiffe_id: ${id.error[0]?.message}`);
    if (id.value.trustDomain !== trustDomain) return refuse('request', 'invalid', `spiffe_id: this citadel serves trust domain ${trustDomain}, not ${id.value.trustDomain}`);
    if (request.spiffeId === formatSpiffeId(controlPlaneId(trustDomain, 'citadel'))) return refuse('request', 'denied', 'spiffe_id: this is citadel itself; whoever had its certificate could answer in its place');
    if (!(request.lifetimeMs >= 0)) return refuse('request', 'invalid', 'ttl_seconds must not be negative');
    if ((await keystore.pruneTokens(clock.now() - tokenMemoryMs)) >= maxTokens) return refuse('request', 'exhausted', `${maxTokens} join tokens are outstanding; wait until some expire`);
    const secret = entropy.bytes(32);
    const expiresAt = clock.now() + Math.min(request.lifetimeMs === 0 ? defaultTokenLifetimeMs : request.lifetimeMs, maxTokenLifetimeMs);
    await keystore.addToken({ hash: hashTokenSecret(secret), spiffeId: request.spiffeId, expiresAt });
    return ok({ token: formatJoinToken({ secret, id: id.value, rootFingerprint: fingerprintOf(servingOf(this.#open()).root) }), expiresAt, id: id.value });
  }

  /** Revokes for good: a certificate that is on a list never comes off before its end. Kept, and in force in `trust()`, when this resolves. */
  async revoke({ serials, spiffeId }: RevokeRequest): Promise<Result<RevokeOutcome, CitadelError>> {
    const { trustDomain, clock } = this.#options;
    const now = clock.now();
    const asked = serials.map((serial) => serial.toLowerCase().replaceAll(':', '').replace(/^0+(?=.)/, ''));
    const bad = asked.findIndex((serial) => !isSerial(serial));
    if (bad >= 0) return refuse('request', 'invalid', `${JSON.stringify(serials[bad]?.slice(0, 80))} is no serial number: 1 to 40 hex digits`);
    const id = spiffeId === '' ? undefined : parseSpiffeId(spiffeId);
    if (id && (!id.ok || id.value.trustDomain !== trustDomain)) return refuse('request', 'invalid', `spiffe_id: ${id.ok ? `this citadel serves trust domain ${trustDomain}` : id.error[0]?.message}`);
    if (!id && asked.length === 0) return refuse('request', 'invalid', 'nothing to revoke: name serial numbers or an identity');
    if (this.#open().upstream) return refuse('request', 'invalid', 'another authority signs for this citadel: certificates are revoked there');
    // A serial number is enough by itself: what is known of it says when it can be forgotten, and whether it may be mistyped.
    const { bySerial, missing } = await (id ? this.#issued.known(now) : this.#issued.knownSoon(now));
    const ofIdentity = id && bySerial ? [...bySerial.values()].filter((record) => record.spiffeId === spiffeId).map((record) => ({ ...record, revokedAt: now })) : [];
    const certificates = [...asked.map((serial) => this.#recordOf(serial, bySerial?.get(serial), now)), ...ofIdentity];
    const identity = id && { spiffeId, before: Math.floor(now / 1000) * 1000 };
    const revoked = await this.#revocations.revoke({ certificates, ...(identity && { identity }) }, this.#open(), now);
    if (!revoked.ok) return refuse('request', 'invalid', revoked.error[0]?.message ?? 'cannot be revoked');
    this.#authority = revoked.value;
    return ok({ serials: [...new Set(certificates.map(({ serial }) => serial))], unknown: asked.filter((serial) => bySerial?.has(serial) === false), warning: missing });
  }

  /** Everything that is revoked and has not ended. */
  revoked(): RevocationState {
    return this.#revocations.state;
  }

  #recordOf(serial: string, known: IssuedRecord | undefined, now: number): RevokedRecord {
    return { serial, revokedAt: now, notAfter: known?.notAfter ?? now + this.#maxLifetimeMs, ...(known && { spiffeId: known.spiffeId }) };
  }

  /** Citadel's own server certificate, with a key made here; the root is in `trust`, for callers that know only its fingerprint. */
  issueOwn(lifetimeMs: number = this.#defaultLifetimeMs): Result<WorkloadCertificate, CitadelError> {
    const authority = servingOf(this.#open());
    const own = this.#ownOrder(lifetimeMs);
    const issued = isSigning(authority) ? issueCertificate(authority, own.order, this.#options.entropy) : refuse('signing', 'internal', 'another authority signs for this citadel');
    return issued.ok ? ok(own.complete(issued.value, authority)) : issued;
  }

  /** The same from wherever certificates come from. */
  async obtainOwn(lifetimeMs: number = this.#defaultLifetimeMs): Promise<Result<WorkloadCertificate, CitadelError>> {
    const authority = this.#open();
    if (!authority.upstream) return this.issueOwn(lifetimeMs);
    const own = this.#ownOrder(lifetimeMs);
    const issued = await issueUpstream(authority, own.order, { upstream: authority.upstream, csr: own.csr() });
    return issued.ok ? ok(own.complete(issued.value, authority)) : issued;
  }

  #ownOrder(lifetimeMs: number): { readonly order: IssueOrder; csr(): string; complete(issued: IssuedCertificate, authority: OpenAuthority): WorkloadCertificate } {
    const id = controlPlaneId(this.#options.trustDomain, 'citadel');
    const keys = generateP256();
    return {
      order: { id, publicKey: keys.publicKey, ...controlPlaneNames(id), lifetimeMs: Math.min(lifetimeMs, this.#maxLifetimeMs), now: this.#options.clock.now() },
      csr: () => buildCsr(keys.privateKey, { uris: [formatSpiffeId(id)] }),
      complete: ({ certificate: { serial, notBefore, notAfter }, chainPem }, { root, trust }) => {
        const privateKeyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
        return Object.freeze({ certChainPem: chainPem.filter((pem) => pem !== root.pem).join(''), privateKeyPem, spiffeId: formatSpiffeId(id), serial, notBefore, notAfter, trust });
      },
    };
  }

  #open(): OpenAuthority {
    if (!this.#authority) throw new Error('the authority is not open: call maintain() first');
    return this.#authority;
  }
}

/** The authority that citadel's own certificate comes from: in a rotation it moves last, when everybody knows the new root. */
function servingOf(authority: OpenAuthority): OpenAuthority {
  return { ...authority, ...authority.serving };
}

function isAudience(text: string): boolean {
  // Nothing that a log or a terminal would take for something else.
  return text.length > 0 && text.length <= maxAudienceChars && !/\p{Cc}/u.test(text);
}
