import { formatFieldErrors, type Clock } from '@meltemi/base';
import { isPluggedIn, short, type CertificateService, type Move, type OpenRotation, type Roster, type Rotation, type RotationPhase } from '@meltemi/citadel';
import { bundleVersion, fingerprintOf, trustedRootsOf } from '@meltemi/identity';
import type { CitadelLog } from './certificate-handlers.ts';
import { ExpiryWarnings } from './expiry-warnings.ts';
import { rotationPhaseNumber, type CitadelStats } from './stats.ts';

export interface AuthorityUpkeepOptions {
  readonly service: CertificateService;
  readonly roster: Roster;
  /** Undefined: the root is not citadel's to change. */
  readonly rotation: Rotation | undefined;
  readonly stats: CitadelStats;
  readonly log: CitadelLog;
  readonly clock: Clock;
  readonly maintenanceMs: number;
  /** What signs, is believed or is shown has changed, and is in force. */
  readonly onChange: () => void;
}

/** How soon what another citadel did is seen, and a rotation that goes on by itself takes its next step. */
const idleTickMs = 3000;
const rotatingTickMs = 500;

/** Keeps the authority up to date and a rotation going. A failure changes nothing, and is said once for as long as it lasts. */
export class AuthorityUpkeep {
  readonly #options: AuthorityUpkeepOptions;
  readonly #expiry: ExpiryWarnings;
  #state: string;
  #issuing: string;
  #phase = '';
  #failure = '';
  #maintainedAt: number;
  #running: Promise<void> = Promise.resolve();
  #cancel: () => void = () => undefined;
  #stopped = false;

  constructor(options: AuthorityUpkeepOptions) {
    this.#options = options;
    this.#expiry = new ExpiryWarnings(options);
    this.#state = this.#stateNow();
    this.#issuing = options.service.issuingSerial();
    this.#maintainedAt = options.clock.monotonic();
  }

  start(): void {
    this.#tell();
    this.#watch();
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Puts in force what is in the keystore now. Resolves when that is done, also when it failed. */
  refresh(): Promise<void> {
    const done = this.#running.then(() => this.#refresh());
    this.#running = done;
    return done;
  }

  #schedule(): void {
    const { clock, service, rotation, maintenanceMs } = this.#options;
    const tickMs = service.authority().rotation ? rotatingTickMs : rotation ? Math.min(idleTickMs, maintenanceMs) : maintenanceMs;
    if (this.#stopped) return;
    this.#cancel = clock.after(tickMs, () => void this.#tick().finally(() => this.#schedule()));
  }

  async #tick(): Promise<void> {
    await this.refresh();
    const { rotation, log } = this.#options;
    if (!rotation || this.#stopped) return;
    try {
      const move = await rotation.advance();
      if (move) {
        log.info({ audit: true, move }, movedText[move] ?? 'the rotation of the root went on');
        await this.refresh();
      }
      await this.#count(rotation);
    } catch (cause) {
      this.#fail(cause instanceof Error ? cause.message : String(cause));
    }
  }

  async #refresh(): Promise<void> {
    const { service, clock, maintenanceMs, stats } = this.#options;
    const due = clock.monotonic() - this.#maintainedAt >= maintenanceMs;
    const outcome = await (due ? service.maintain() : service.refresh()).catch((cause: unknown) => ({ ok: false as const, error: [{ path: '', message: String(cause) }] }));
    if (due) this.#maintainedAt = clock.monotonic();
    this.#fail(outcome.ok ? '' : formatFieldErrors(outcome.error));
    stats.authorityStale.set(outcome.ok ? 0 : 1);
    this.#watch();
    const state = this.#stateNow();
    if (state === this.#state) return;
    this.#state = state;
    this.#tell();
    this.#options.onChange();
  }

  #watch(): void {
    const { service, clock, stats } = this.#options;
    this.#expiry.check(service.authority(), clock.now());
    stats.revoked.set(service.revoked().certificates.length);
  }

  #fail(reason: string): void {
    if (reason !== '' && reason !== this.#failure) this.#options.log.error({ reason }, 'the authority could not be brought up to date; it goes on with what it has');
    this.#failure = reason;
  }

  #stateNow(): string {
    const { issuer, trust, serving, rotation } = this.#options.service.authority();
    return [issuer[0].serial, bundleVersion(trust), serving?.issuer[0].serial ?? '', rotation?.phase ?? ''].join(' ');
  }

  /** What signs and is believed now: to metrics, the log, other citadels. */
  #tell(): void {
    const { service, stats, log, roster } = this.#options;
    const { root, trust, rotation } = service.authority();
    stats.rootExpirySeconds.set(Math.floor(root.notAfter / 1000));
    stats.rotationPhase.set(rotationPhaseNumber(rotation?.phase));
    const trustedRoots = trustedRootsOf(trust);
    this.#tellPhase(rotation);
    roster.beat({ signingRoot: fingerprintOf(root), trustedRoots });
    const issuing = service.issuingSerial();
    if (issuing !== this.#issuing) log.info({ audit: true, issuing, root: short(fingerprintOf(root)), rootNotAfter: new Date(root.notAfter).toISOString() }, 'a new issuing CA signs from now on');
    this.#issuing = issuing;
  }

  /** Of a change that nobody has asked for but the files of the authority: others are told of when they are asked for. */
  #tellPhase(change: OpenRotation | undefined): void {
    const { rotation, log } = this.#options;
    const phase = change?.phase ?? '';
    const text = rotation && isPluggedIn(rotation) ? pluggedText[phase] : undefined;
    if (phase !== this.#phase && text !== undefined) log.info({ audit: true, phase, ...(change && { root: short(fingerprintOf(change.other)) }) }, text);
    this.#phase = phase;
  }

  async #count(rotation: Rotation): Promise<void> {
    const { service, stats } = this.#options;
    stats.rotationLagging.set(service.authority().rotation ? (await rotation.progress()).holdups.length : 0);
  }
}

const movedText: Readonly<Partial<Record<Move, string>>> = {
  switch: 'every connected proxy trusts the new root: it signs from now on', retire: 'nobody has a certificate of the old root any more: it is not believed from now on', finish: 'nobody trusts the old root any more: its key is forgotten, the rotation is done',
};

const pluggedText: Readonly<Partial<Record<RotationPhase | '', string>>> = {
  distributing: 'another root is plugged in: it is distributed first, and signs when everybody believes it', switched: 'a root that is plugged in no more is believed until nobody has a certificate of it',
  '': 'the change of the root is done',
};
