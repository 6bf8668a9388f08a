import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { formatFieldErrors, mathRandom, systemClock, type Clock, type Random } from '@meltemi/base';
import { formatSpiffeId, isJoinToken, parseCertificates, parseSpiffeId, trustedRootsOf, verifyChain, type KeyAlgorithm, type SpiffeId, type TrustBundle, type WorkloadCertificate } from '@meltemi/identity';
import { requestCertificate, type IdentityProof, type IssuanceFailure } from './issuance.ts';
import { KeptIdentity } from './kept-identity.ts';
import { backdatedMs, renewalTime, retryDelayMs } from './renewal.ts';
import type { JoinTokenSource } from './token-source.ts';
import { TrustFollower, type InForce } from './trust-follower.ts';

/** What the agent says to its log; pino's loggers fit. */
export interface AgentLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface IdentityAgentOptions {
  /** host:port of citadel. */
  readonly citadelAddress: string;
  /** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
  readonly identity: string | SpiffeId;
  /** For the first certificate: `joinTokenFile(path)` or `joinTokenText(token)`. Other tokens than join tokens need `roots`, too. Not needed while a kept certificate is still good. */
  readonly joinToken?: JoinTokenSource;
  /** The root certificates of the mesh, for tokens that name none: `rootFile(path)`. */
  readonly roots?: () => Promise<string | undefined>;
  /** Keep certificate and key here (0600), so that a restart renews instead of joining again. Default: nothing touches the disk. */
  readonly stateDir?: string;
  /** Lifetime to ask for. Default: citadel's. */
  readonly validityMs?: number;
  /** Of the workload's keys, each made for one certificate. Default ECDSA P-256. */
  readonly keyAlgorithm?: KeyAlgorithm;
  /** What the program calls itself where citadel says who lags: a proxy's node id. Default: the host's name. */
  readonly name?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log: AgentLog;
}

/** Owns a workload's key and certificate: gets the first, renews at half-life, tells subscribers. */
export interface IdentityAgent {
  readonly id: SpiffeId;
  /** The newest certificate; undefined before the first. Stays while citadel is away, even past its end (peers then refuse it). */
  current(): WorkloadCertificate | undefined;
  /** The first certificate; rejects with the last failure's text when there is none within `deadlineMs` (default 30 s) or the agent stops. */
  ready(deadlineMs?: number): Promise<WorkloadCertificate>;
  /**
   * Calls `listener` with the current certificate, if any, and with every later one, and with the same certificate again when whom to believe has changed.
   * A promise that it returns says when it is in force; citadel waits for that before it goes on with a change of the root. Returns how to unsubscribe.
   */
  subscribe(listener: CertificateListener): () => void;
  /** Why the last attempt failed; undefined when it did not. For readiness and status pages. */
  lastFailure(): string | undefined;
  /** Ends at once; tells citadel if it can. */
  stop(): void;
  /** Ends, and resolves when citadel knows that nobody has to wait for this program, or half a second later. For programs that end in good order. */
  leave(): Promise<void>;
}

export type CertificateListener = (certificate: WorkloadCertificate) => unknown;

/** Starts the agent; returns at once. Throws only when `identity` is not a SPIFFE id: that is a bug or a bad flag. */
export function startIdentityAgent(options: IdentityAgentOptions): IdentityAgent {
  const parsed = parseSpiffeId(typeof options.identity === 'string' ? options.identity : formatSpiffeId(options.identity));
  if (!parsed.ok) throw new Error(`identity: ${formatFieldErrors(parsed.error)}`);
  const agent = new Agent(parsed.value, options);
  agent.start();
  return agent;
}

const freshTokenHint = 'waiting for a fresh join token (citadel mints them on its socket)';

class Agent implements IdentityAgent {
  readonly id: SpiffeId;
  readonly #options: IdentityAgentOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #kept: KeptIdentity | undefined;
  readonly #listeners = new Set<CertificateListener>();
  readonly #follower: TrustFollower;
  readonly #followerName: string;
  /** How often roots came over the stream: what a request brought from before that is older. */
  #trustTaken = 0;
  /** What every listener believes. */
  #trusted: readonly string[] = [];
  #renewalAt = Number.POSITIVE_INFINITY;
  #current: WorkloadCertificate | undefined;
  #failures = 0;
  #lastFailure: string | undefined;
  /** The last attempt with a certificate failed. Citadel may have a new root that only a new token can lead to, so the two take turns. */
  #tokenIsNext = false;
  /** A token that was spent or refused; it is not sent again. */
  #deadToken: string | undefined;
  #cancelTimer: () => void = () => undefined;
  readonly #stopping = new AbortController();

  constructor(id: SpiffeId, options: IdentityAgentOptions) {
    this.id = id;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? mathRandom;
    this.#kept = options.stateDir === undefined ? undefined : new KeptIdentity(options.stateDir);
    const name = (options.name ?? hostname()).replaceAll(/[^\x21-\x7e]/g, '_').slice(0, 256) || 'unnamed';
    const run = randomBytes(8).toString('hex');
    this.#followerName = `${name} ${run}`;
    this.#follower = new TrustFollower({
      citadelAddress: options.citadelAddress, trustDomain: id.trustDomain, name, run, clock: this.#clock, random: this.#random,
      take: (trust) => this.#takeTrust(trust), renewWithin: (ms) => this.#renewWithin(ms),
      onProblem: (reason) => options.log.warn({ reason }, 'citadel does not let this program follow the roots'),
    });
  }

  start(): void {
    void this.#startUp();
  }

  current(): WorkloadCertificate | undefined {
    return this.#current;
  }

  lastFailure(): string | undefined {
    return this.#lastFailure;
  }

  subscribe(listener: CertificateListener): () => void {
    this.#listeners.add(listener);
    if (this.#current) void putInForce([listener], this.#current);
    return () => this.#listeners.delete(listener);
  }

  ready(deadlineMs = 30_000): Promise<WorkloadCertificate> {
    if (this.#current) return Promise.resolve(this.#current);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => end(new Error(`no certificate for ${formatSpiffeId(this.id)} within ${deadlineMs} ms: ${this.#lastFailure ?? 'citadel has not answered yet'}`)), deadlineMs);
      const onStop = (): void => end(new Error('the identity agent was stopped'));
      const unsubscribe = this.subscribe((certificate) => end(certificate));
      const end = (outcome: WorkloadCertificate | Error): void => {
        clearTimeout(timer);
        unsubscribe();
        this.#stopping.signal.removeEventListener('abort', onStop);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      this.#stopping.signal.addEventListener('abort', onStop);
      if (this.#stopping.signal.aborted) onStop();
    });
  }

  stop(): void {
    void this.leave();
  }

  leave(): Promise<void> {
    this.#stopping.abort();
    this.#cancelTimer();
    this.#listeners.clear();
    return this.#follower.stop(this.#current && this.#inForce(this.#current, ''));
  }

  async #startUp(): Promise<void> {
    const kept = await this.#kept?.load(this.id, this.#clock.now());
    if (this.#stopping.signal.aborted) return;
    if (kept && !kept.ok) this.#options.log.warn({ reason: formatFieldErrors(kept.error) }, 'kept identity is not usable; joining anew');
    if (!kept?.ok) return this.#attempt();
    this.#scheduleRenewal(kept.value, kept.value.notBefore + backdatedMs);
    await this.#use(kept.value);
  }

  async #attempt(): Promise<void> {
    const before = this.#trustTaken;
    const outcome = await this.#request().catch((cause: unknown): IssuanceFailure => ({ refused: false, message: cause instanceof Error ? cause.message : String(cause) }));
    if (this.#stopping.signal.aborted) return;
    if ('certChainPem' in outcome) await this.#accept(before === this.#trustTaken ? outcome : this.#withNewerTrust(outcome));
    else this.#retry(outcome);
  }

  async #request(): Promise<WorkloadCertificate | IssuanceFailure> {
    const proof = await this.#proof();
    if (!proof) return { refused: true, message: this.#noProof() };
    const { citadelAddress, validityMs = 0, keyAlgorithm = 'ecdsa-p256' } = this.#options;
    const outcome = await requestCertificate({ citadelAddress, id: this.id, proof, validityMs, keyAlgorithm, now: this.#clock.now(), follower: this.#followerName });
    this.#tokenIsNext = proof.kind === 'certificate' && !outcome.ok;
    // Only join tokens are spent by use; others may be good again, when Kubernetes or the rules have changed.
    if (proof.kind === 'token' && isJoinToken(proof.token) && (outcome.ok || outcome.error.refused)) this.#deadToken = proof.token;
    return outcome.ok ? outcome.value : outcome.error;
  }

  async #proof(): Promise<IdentityProof | undefined> {
    const current = this.#current && this.#current.notAfter > this.#clock.now() ? this.#current : undefined;
    if (current && !this.#tokenIsNext) return { kind: 'certificate', certificate: current };
    const token = await this.#options.joinToken?.();
    if (token !== undefined && token !== this.#deadToken) return this.#tokenProof(token);
    return current && { kind: 'certificate', certificate: current };
  }

  async #tokenProof(token: string): Promise<IdentityProof> {
    const rootsPem = isJoinToken(token) ? undefined : await this.#options.roots?.();
    return { kind: 'token', token, ...(rootsPem !== undefined && { rootsPem }) };
  }

  #noProof(): string {
    const refused = this.#deadToken !== undefined && this.#lastFailure !== undefined;
    if (refused) return this.#lastFailure?.endsWith(freshTokenHint) ? this.#lastFailure : `${this.#lastFailure}; ${freshTokenHint}`;
    return `no join token and no valid certificate to prove ${formatSpiffeId(this.id)} with; ${freshTokenHint}`;
  }

  async #accept(certificate: WorkloadCertificate): Promise<void> {
    this.#failures = 0;
    this.#lastFailure = undefined;
    await this.#keep(certificate);
    if (this.#stopping.signal.aborted) return;
    this.#scheduleRenewal(certificate, this.#clock.now());
    this.#options.log.info({ spiffeId: certificate.spiffeId, serial: certificate.serial, notAfter: new Date(certificate.notAfter).toISOString() }, 'certificate obtained');
    await this.#use(certificate);
  }

  async #keep(certificate: WorkloadCertificate): Promise<void> {
    try {
      await this.#kept?.save(certificate);
    } catch (cause) {
      this.#options.log.warn({ reason: cause instanceof Error ? cause.message : String(cause) }, 'the identity could not be kept; a restart will need a join token');
    }
  }

  /** Puts a new certificate in force, then follows the roots with it. */
  async #use(certificate: WorkloadCertificate): Promise<void> {
    const problem = await this.#emit(certificate);
    if (!this.#stopping.signal.aborted && this.#current === certificate) this.#follower.follow(this.#inForce(certificate, problem));
  }

  /** New roots: the certificate stays, whom to believe changes. */
  async #takeTrust(trust: TrustBundle): Promise<InForce> {
    this.#trustTaken += 1;
    const current = this.#current;
    if (!current) throw new Error('the roots are followed with a certificate');
    const certificate = Object.freeze({ ...current, trust });
    const problem = await this.#emit(certificate);
    await this.#keep(certificate);
    this.#options.log.info({ roots: trustedRootsOf(trust).map((root) => root.slice(0, 12)), ...(problem !== '' && { problem }) }, problem === '' ? 'new roots are in force' : 'new roots are not in force everywhere');
    return this.#inForce(certificate, problem);
  }

  #inForce(certificate: WorkloadCertificate, problem: string): InForce {
    if (problem === '' || this.#trusted.length === 0) this.#trusted = trustedRootsOf(certificate.trust);
    return { certificate, trusted: this.#trusted, problem };
  }

  /** The request was answered with the roots of a moment before. */
  #withNewerTrust(certificate: WorkloadCertificate): WorkloadCertificate {
    const trust = this.#current?.trust;
    const chain = parseCertificates(certificate.certChainPem);
    return trust && chain.ok && verifyChain(chain.value, trust, { now: this.#clock.now(), use: 'any' }).ok ? Object.freeze({ ...certificate, trust }) : certificate;
  }

  #renewWithin(ms: number): void {
    const at = this.#clock.now() + ms;
    // One that comes soon anyway, or was asked for before, stays.
    if (this.#renewalAt > at) this.#renewAt(this.#clock.now() + ms * this.#random.next());
  }

  #retry(failure: IssuanceFailure): void {
    this.#failures += 1;
    this.#lastFailure = failure.message;
    const delayMs = retryDelayMs({ count: this.#failures, refused: failure.refused, remainingMs: (this.#current?.notAfter ?? 0) - this.#clock.now() }, this.#random);
    this.#options.log.warn({ reason: failure.message, retryInMs: Math.round(delayMs), haveCertificate: this.#current !== undefined }, 'no certificate from citadel');
    this.#after(delayMs);
  }

  #scheduleRenewal(certificate: WorkloadCertificate, issuedAt: number): void {
    const at = renewalTime({ issuedAt, notAfter: certificate.notAfter }, this.#random);
    this.#renewAt(at);
  }

  #renewAt(at: number): void {
    this.#renewalAt = at;
    this.#after(Math.max(0, at - this.#clock.now()));
  }

  #after(delayMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(delayMs, () => void this.#attempt());
  }

  /** Resolves when every listener has it in force, with why not otherwise. */
  #emit(certificate: WorkloadCertificate): Promise<string> {
    this.#current = certificate;
    return putInForce([...this.#listeners], certificate);
  }
}

async function putInForce(listeners: readonly CertificateListener[], certificate: WorkloadCertificate): Promise<string> {
  const outcomes = await Promise.allSettled(listeners.map(async (listener) => listener(certificate)));
  return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason instanceof Error ? outcome.reason.message : String(outcome.reason)] : [])).join('; ');
}
