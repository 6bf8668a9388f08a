import { status, type ServerDuplexStream, type StatusObject } from '@grpc/grpc-js';
import type { TrustBundleServer, WatchTrustRequest, WatchTrustResponse } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { fail, type Clock, type Result } from '@meltemi/base';
import { standingOf, type CertificateService, type Roster, type Standing } from '@meltemi/citadel';
import { bundleVersion, fingerprintOf } from '@meltemi/identity';
import { peerCertificate } from '@meltemi/identity-edge';
import { bundleMessage } from './bundle-message.ts';

type Stream = ServerDuplexStream<WatchTrustRequest, WatchTrustResponse>;

export interface TrustWatchersOptions {
  readonly service: CertificateService;
  readonly roster: Roster;
  readonly clock: Clock;
}

const firstMessageMs = 10_000;
const maxStreams = 20_000;
/** A follower has something to say when roots change and when its certificate does. */
const messagesPerMinute = 60;
const renewalsPerSecond = 200;
const minRenewMs = 1000;
const maxRenewMs = 600_000;

/** The programs that follow the trust bundle: each is sent every change, and says what it has put in force. */
export class TrustWatchers {
  readonly #options: TrustWatchersOptions;
  readonly #watchers = new Set<Watcher>();
  readonly #named = new Map<string, Watcher>();

  constructor(options: TrustWatchersOptions) {
    this.#options = options;
  }

  readonly watch: TrustBundleServer['watch'] = (call) => {
    const standing = this.#standing(call);
    if (!standing.ok) return refuse(call, status.UNAUTHENTICATED, `the client certificate is refused: ${standing.error[0]?.message}`);
    if (this.#watchers.size >= maxStreams) return refuse(call, status.RESOURCE_EXHAUSTED, `${maxStreams} programs follow the roots here already`);
    const watcher = new Watcher(call, standing.value, { ...this.#options, take: (named) => this.#take(named), closed: (closed) => this.#closed(closed) });
    this.#watchers.add(watcher);
    watcher.start(this.#message());
  };

  get size(): number {
    return this.#watchers.size;
  }

  /** Sends everybody what is in force now. */
  publish(): void {
    const message = this.#message();
    for (const watcher of this.#watchers) watcher.send(message);
  }

  /** Lets everybody go to another citadel, or come back to this one. */
  drain(): void {
    for (const watcher of this.#watchers) watcher.end(status.UNAVAILABLE, 'citadel stops');
  }

  #message(): WatchTrustResponse {
    const authority = this.#options.service.authority();
    const renewWithinMs = Math.min(maxRenewMs, Math.max(minRenewMs, (this.#watchers.size * 1000) / renewalsPerSecond));
    return { version: bundleVersion(authority.trust), bundle: bundleMessage(authority.trust), signingRoot: fingerprintOf(authority.root), renewWithinMs: BigInt(Math.round(renewWithinMs)) };
  }

  #standing(call: Stream): Result<Standing> {
    const leaf = peerCertificate(call);
    if (!leaf) return fail('', 'there is none; connect over mTLS with a certificate from citadel');
    return leaf.ok ? standingOf(leaf.value, this.#options.service.authority(), this.#options.clock.now()) : leaf;
  }

  /** Of two streams of one run the newer counts: the older is a dead connection, or of the certificate before. */
  #take(watcher: Watcher): void {
    const older = this.#named.get(watcher.key);
    this.#named.set(watcher.key, watcher);
    if (older && older !== watcher) older.end(status.ABORTED, 'a newer stream of this program has taken its place');
  }

  #closed(watcher: Watcher): boolean {
    this.#watchers.delete(watcher);
    if (this.#named.get(watcher.key) !== watcher) return false;
    this.#named.delete(watcher.key);
    return true;
  }
}

interface WatcherParts extends TrustWatchersOptions {
  readonly take: (watcher: Watcher) => void;
  /** True when it was the stream that counts. */
  readonly closed: (watcher: Watcher) => boolean;
}

class Watcher {
  /** "" until it has said who it is. */
  key = '';
  readonly #call: Stream;
  readonly #standing: Standing;
  readonly #parts: WatcherParts;
  #said: WatchTrustRequest | undefined;
  #leaving = false;
  #ended = false;
  #full = false;
  #waiting: WatchTrustResponse | undefined;
  #cancelDeadline: () => void = () => undefined;
  #minute = { startedAt: 0, messages: 0 };

  constructor(call: Stream, standing: Standing, parts: WatcherParts) {
    this.#call = call;
    this.#standing = standing;
    this.#parts = parts;
  }

  start(message: WatchTrustResponse): void {
    const call = this.#call;
    this.#cancelDeadline = this.#parts.clock.after(firstMessageMs, () => this.end(status.DEADLINE_EXCEEDED, 'the first message did not come'));
    call.on('data', (said: WatchTrustRequest) => this.#hear(said));
    call.on('end', () => this.end(status.OK, ''));
    call.on('cancelled', () => this.#close());
    call.on('error', () => this.#close());
    call.on('drain', () => this.#drained());
    this.send(message);
  }

  /** When the follower is slow only the newest waits. */
  send(message: WatchTrustResponse): void {
    if (this.#ended) return;
    if (this.#full) this.#waiting = message;
    else this.#full = !this.#call.write(message);
  }

  end(code: status, details: string): void {
    if (this.#ended) return;
    this.#close();
    if (code === status.OK) this.#call.end();
    else refuse(this.#call, code, details);
  }

  #drained(): void {
    this.#full = false;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) this.send(waiting);
  }

  #hear(said: WatchTrustRequest): void {
    if (this.#ended) return;
    const wrong = this.#wrong(said);
    if (wrong !== undefined) return this.end(status.INVALID_ARGUMENT, wrong);
    if (this.#said === undefined) {
      this.key = JSON.stringify([this.#standing.spiffeId, said.name, said.run]);
      this.#parts.take(this);
      this.#cancelDeadline();
      this.#cancelDeadline = this.#parts.clock.after(Math.max(0, this.#standing.certificateNotAfter - this.#parts.clock.now()), () => this.end(status.UNAUTHENTICATED, 'the client certificate has expired: connect again with a new one'));
    }
    this.#said = said;
    this.#leaving = said.leaving;
    if (!this.#report(true)) this.end(status.RESOURCE_EXHAUSTED, `too many programs of ${this.#standing.spiffeId} follow the roots here already`);
  }

  #wrong({ name, run, trustedRoots, problem }: WatchTrustRequest): string | undefined {
    const now = this.#parts.clock.now();
    if (now - this.#minute.startedAt > 60_000) this.#minute = { startedAt: now, messages: 0 };
    this.#minute.messages += 1;
    if (this.#minute.messages > messagesPerMinute) return `more than ${messagesPerMinute} messages in a minute`;
    if (name === '' || name.length > 256 || run.length > 64 || problem.length > 512) return 'name, run or problem: missing or too long';
    if (this.#said && (this.#said.name !== name || this.#said.run !== run)) return 'name and run must stay the same';
    if (trustedRoots.length === 0 || trustedRoots.length > 32 || !trustedRoots.every((root) => /^[0-9a-f]{64}$/.test(root))) return 'trusted_roots: must be 1 to 32 SHA-256 fingerprints in lower-case hex';
    return undefined;
  }

  #report(connected: boolean): boolean {
    const said = this.#said;
    if (!said) return true;
    const { name, run, problem, trustedRoots } = said;
    const report = { ...this.#standing, name, run, problem, trustedRoots: trustedRoots.toSorted(), address: this.#call.getPeer(), connected, heardAt: this.#parts.clock.now() };
    return this.#parts.roster.put(report);
  }

  #close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelDeadline();
    const counts = this.#parts.closed(this);
    if (!counts || !this.#said) return;
    if (this.#leaving) this.#parts.roster.remove({ spiffeId: this.#standing.spiffeId, name: this.#said.name, run: this.#said.run });
    else this.#report(false);
  }
}

function refuse(call: Stream, code: status, details: string): void {
  call.emit('error', { code, details } satisfies Partial<StatusObject>);
}
