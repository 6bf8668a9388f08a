import { err, fail, ok, type Clock, type Result } from '@meltemi/base';
import { createTrustBundle, fingerprintOf, type Certificate, type TrustBundle } from '@meltemi/identity';
import type { Authority, OpenAuthority, OpenRotation, Signing } from '../authority.ts';
import type { RotationFacts } from './facts.ts';
import { holdups, type Holdup } from './holdups.ts';
import type { Roster } from './roster.ts';
import { holdupText, refusalText, type Rotation, type RotationProgress, type RotationRefusal, type RotationRequest } from './rotation.ts';
import type { RotationPhase } from './rotation-record.ts';
import type { Move } from './transition.ts';

export interface PluggedRotationOptions {
  /** What is plugged in. */
  readonly plugged: Authority;
  readonly roster: Roster;
  readonly clock: Clock;
  /** How long handshakes may be under way. Default 5 s. */
  readonly inFlightMs?: number;
  /** Start with what is plugged in whomever that cuts off. Default false. */
  readonly acceptCutOff?: boolean;
}

const moveOf: Readonly<Record<RotationPhase, Move>> = { distributing: 'switch', switched: 'retire', retiring: 'retire' };

/**
 * Lets nobody be cut off by a root that is plugged in: whatever the files say, a new root is believed first, its issuing CA signs when everybody believes it, and a root that is gone from the
 * files is believed until nobody has a certificate of it. The issuing CA before is in memory meanwhile: keep citadel running until the change is done.
 */
export class PluggedRotation implements Authority, Rotation {
  readonly cannotStart = 'the root is plugged in; put the new files into the folder of --cacerts, and citadel paces the change';
  readonly #options: PluggedRotationOptions;
  #open: OpenAuthority | undefined;
  /** What the last authority was made of. */
  #made = '';
  /** Left behind by name, in the step that was under way when they were. */
  #without: readonly string[] = [];
  #paused = false;

  constructor(options: PluggedRotationOptions) {
    this.#options = options;
  }

  async refresh(now: number): Promise<Result<OpenAuthority>> {
    const target = await this.#options.plugged.refresh(now);
    if (!target.ok) return target;
    const open = this.#open;
    const next = open ? await this.#towards(open, target.value, now) : await this.#first(target.value, now);
    if (!next.ok) return next;
    if (!next.value.rotation) this.#paused = false;
    if (next.value.rotation?.phase !== open?.rotation?.phase) this.#without = [];
    const made = contentsOf(next.value);
    if (open && made === this.#made) return ok(open);
    this.#made = made;
    this.#open = next.value;
    return next;
  }

  async act({ action, without = [] }: RotationRequest): Promise<Result<Move, RotationRefusal>> {
    const rotation = this.#open?.rotation;
    if (action === 'start' || !rotation) return refused(action === 'start' ? this.cannotStart : `no change of the root is under way; ${this.cannotStart}`);
    if (action === 'back') return refused('put the files of before back into the folder of --cacerts');
    if (action === 'pause' || action === 'resume') {
      if ((action === 'pause') === this.#paused) return refused(this.#paused ? 'the change is paused already' : 'the change is not paused');
      this.#paused = action === 'pause';
      return ok(action);
    }
    if (this.#paused) return refused('the change is paused: resume it first');
    const move = moveOf[rotation.phase];
    const against = this.#against(move, rotation.other, await this.#options.roster.facts(), without);
    if (against.length > 0) return err({ message: refusalText(move, against), holdups: against });
    this.#without = without;
    return ok(move);
  }

  async progress(): Promise<RotationProgress> {
    const facts = await this.#options.roster.facts();
    const rotation = this.#open?.rotation;
    if (!rotation) return { phase: undefined, paused: false, automatic: false, next: undefined, holdups: [], facts };
    const next = moveOf[rotation.phase];
    return { phase: rotation.phase, paused: this.#paused, automatic: true, next, holdups: this.#against(next, rotation.other, facts, this.#without), facts };
  }

  /** Steps are taken when the files are read. */
  async advance(): Promise<undefined> {
    return undefined;
  }

  /** At the start nothing of before is in memory: who does not believe what is plugged in would be cut off, and nobody could help. */
  async #first(target: OpenAuthority, now: number): Promise<Result<OpenAuthority>> {
    const { roster, acceptCutOff = false } = this.#options;
    if (acceptCutOff) return ok(target);
    const facts = await roster.facts();
    const believed = new Set(target.trust.roots.map(fingerprintOf));
    const signing = fingerprintOf(target.root);
    // Roots that their certificates lead to and that would not be believed any more.
    const missing = new Set([...facts.proxies, ...facts.silent].map(({ certificateRoot }) => certificateRoot).filter((root) => root !== '' && !believed.has(root)));
    const options = { now, inFlightMs: 0 };
    // Nobody has been able to come back to a citadel that does not listen yet, and another one would keep its own root in force.
    const known = { ...facts, listeningSince: -Infinity, citadels: [] };
    const strangers = holdups('switch', { signing, other: signing }, known, options);
    const orphans = [...missing].flatMap((root) => holdups('retire', { signing, other: root }, known, options));
    const lost = [...new Map([...strangers, ...orphans].map((holdup) => [JSON.stringify([holdup.kind, holdup.name, holdup.spiffeId, holdup.address, holdup.until]), holdup])).values()];
    if (lost.length === 0) return ok(target);
    const advice = strangers.length === 0 ? 'Put their root into root-cert.pem, too, until they have new certificates' : 'Start with the files of before and replace them while citadel runs: it distributes the new root first';
    return fail('', `to start with these files would cut off ${lost.length === 1 ? 'one that is' : `${lost.length} that are`} alive: ${holdupText(lost)}. ${advice}. Or cut them off with --accept-cut-off`);
  }

  /** The files' authority, as far as nobody is cut off by it. */
  async #towards(open: OpenAuthority, target: OpenAuthority, now: number): Promise<Result<OpenAuthority>> {
    const gone = open.trust.roots.filter((root) => !includes(target.trust.roots, root));
    const moves = fingerprintOf(open.root) !== fingerprintOf(target.root);
    if (!moves && gone.length === 0) return ok(target);
    const facts = await this.#options.roster.facts();
    const may = (move: Move, other: Certificate, signing: Certificate) => !this.#paused && this.#against(move, other, facts, this.#without, signing).length === 0;
    const believesBoth = includes(open.trust.roots, target.root);
    const held = moves && !(believesBoth && may('switch', target.root, open.root));
    const signing: Signing | OpenAuthority = held ? open : target;
    const staying = gone.filter((root) => held || includes([signing.root], root) || (moves && includes([open.root], root)) || !may('retire', root, signing.root));
    const trust = together(target.trust, staying);
    if (!trust.ok) return trust;
    const [other] = held ? [target.root] : staying;
    const before = open.serving ?? (moves ? { root: open.root, issuer: open.issuer, ...(open.signer && { signer: open.signer }) } : undefined);
    return ok({
      ...target, root: signing.root, issuer: signing.issuer, ...(signing.signer && { signer: signing.signer }), trust: trust.value,
      retired: [...target.retired, ...(held ? [target.issuer] : [])].filter(([issuing]) => issuing.pem !== signing.issuer[0].pem),
      ...(!held && other && before?.signer && includes(staying, before.root) && { serving: { ...before, signer: before.signer } }),
      ...(other && { rotation: this.#shown(open.rotation, held ? 'distributing' : 'switched', other, now) }),
    });
  }

  #shown(before: OpenRotation | undefined, phase: RotationPhase, other: Certificate, now: number): OpenRotation {
    const since = before?.phase === phase && before.other.pem === other.pem ? before.since : now;
    return { phase, paused: this.#paused, automatic: true, startedAt: before?.startedAt ?? now, since, other };
  }

  #against(move: Move, other: Certificate, facts: RotationFacts, without: readonly string[], signing = this.#open?.root): Holdup[] {
    const { clock, inFlightMs } = this.#options;
    const roots = { signing: signing ? fingerprintOf(signing) : '', other: fingerprintOf(other) };
    return holdups(move, roots, facts, { now: clock.now(), without, ...(inFlightMs !== undefined && { inFlightMs }) });
  }
}

function refused(message: string): Result<never, RotationRefusal> {
  return err({ message, holdups: [] });
}

function includes(roots: readonly Certificate[], root: Certificate): boolean {
  return roots.some(({ pem }) => pem === root.pem);
}

function together(trust: TrustBundle, others: readonly Certificate[]): Result<TrustBundle> {
  if (others.length === 0) return ok(trust);
  // In one order in every phase: the same roots are the same bundle.
  return createTrustBundle(trust.trustDomain, [...trust.roots, ...others].map(({ pem }) => pem).toSorted());
}

function contentsOf({ issuer, retired, trust, serving, rotation }: OpenAuthority): string {
  const parts = [issuer[0].pem, ...retired.map(([issuing]) => issuing.pem), '', ...trust.roots.map(({ pem }) => pem), '', serving?.issuer[0].pem, rotation?.phase, rotation?.other.pem, rotation?.paused];
  return JSON.stringify(parts);
}
