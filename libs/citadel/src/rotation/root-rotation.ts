import { err, ok, type Clock, type Result } from '@meltemi/base';
import { fingerprintOf, parseCertificates } from '@meltemi/identity';
import type { AuthorityMaterial } from '../authority-material.ts';
import type { KeptAuthority, RootMaking } from '../kept-authority.ts';
import type { Leadership } from '../leadership.ts';
import type { RotationFacts } from './facts.ts';
import { holdups, type Holdup, type RotationRoots } from './holdups.ts';
import type { Roster } from './roster.ts';
import type { RotationPhase } from './rotation-record.ts';
import { moved, moveOf, type Move, type RotationAction } from './transition.ts';

/** Why an action was not done. Nothing has changed then. */
export interface RotationRefusal {
  readonly message: string;
  /** Who would be cut off; empty when the reason is another one. */
  readonly holdups: readonly Holdup[];
}

export interface RotationRequest {
  readonly action: RotationAction;
  /** With `start`: go on by itself. */
  readonly automatic?: boolean;
  /** Who may be cut off all the same: proxy names, SPIFFE ids, or `silent`. */
  readonly without?: readonly string[];
}

/** How far it is, and who holds the next step up. */
export interface RotationProgress {
  readonly phase: RotationPhase | undefined;
  readonly paused: boolean;
  readonly automatic: boolean;
  /** The next step forward; undefined when no rotation is under way. */
  readonly next: Move | undefined;
  readonly holdups: readonly Holdup[];
  readonly facts: RotationFacts;
}

export interface RootRotationOptions {
  readonly authority: KeptAuthority;
  readonly roster: Roster;
  readonly clock: Clock;
  /** Which of several citadels takes the steps of a rotation that goes on by itself. Default: this one. */
  readonly leadership?: Pick<Leadership, 'term'>;
  /** How long handshakes may be under way. Default 5 s. */
  readonly inFlightMs?: number;
}

/** Changes the root of citadel's own authority, step by step, each in one save. A citadel that dies between two leaves a state that any other goes on from. */
export class RootRotation {
  readonly #options: RootRotationOptions;

  constructor(options: RootRotationOptions) {
    this.#options = options;
  }

  /** Does what an operator asks for, or refuses, naming who would be cut off. The authority has to be refreshed afterwards. Rejects when a keystore fails. */
  async act({ action, automatic = false, without = [] }: RotationRequest): Promise<Result<Move, RotationRefusal>> {
    const { authority, roster, clock } = this.#options;
    let made: Move = 'begin';
    const decide = async (material: AuthorityMaterial, making: RootMaking): Promise<Result<AuthorityMaterial, RotationRefusal>> => {
      const move = moveOf(action, material.rotation);
      if (!move.ok) return err({ message: move.error, holdups: [] });
      made = move.value;
      const roots = rootsOf(material);
      const against = holdups(made, roots, await roster.facts(), { ...this.#timing(), without });
      if (against.length > 0) return err({ message: refusalText(made, against), holdups: against });
      return ok(moved(material, made, { now: clock.now(), automatic, leaving: roots.other, ...(made === 'begin' && { next: await making.newRoot() }) }));
    };
    const changed = await authority.change(decide, clock.now());
    if (changed.ok) return ok(made);
    return err(typeof changed.error === 'string' ? { message: changed.error, holdups: [] } : changed.error);
  }

  /** Rejects when a keystore fails. */
  async progress(): Promise<RotationProgress> {
    const { authority, roster } = this.#options;
    const facts = await roster.facts();
    const material = await authority.material();
    const rotation = material?.rotation;
    const next = rotation && moveOf('step', { ...rotation, paused: false });
    if (!material || !rotation || !next?.ok) return { phase: undefined, paused: false, automatic: false, next: undefined, holdups: [], facts };
    const { phase, paused, automatic } = rotation;
    return { phase, paused, automatic, next: next.value, holdups: holdups(next.value, rootsOf(material), facts, this.#timing()), facts };
  }

  #timing(): { readonly now: number; readonly inFlightMs?: number } {
    const { clock, inFlightMs } = this.#options;
    return { now: clock.now(), ...(inFlightMs !== undefined && { inFlightMs }) };
  }

  /** Takes the next step of a rotation that goes on by itself, when nobody would be cut off. Undefined: nothing was to do, or not yet. */
  async advance(): Promise<Move | undefined> {
    const { authority, leadership } = this.#options;
    if (leadership && !leadership.term()) return undefined;
    const rotation = (await authority.material())?.rotation;
    if (!rotation?.automatic || rotation.paused) return undefined;
    const stepped = await this.act({ action: 'step' });
    return stepped.ok ? stepped.value : undefined;
  }
}

function rootsOf({ rootCertificatePem, rotation }: AuthorityMaterial): RotationRoots {
  return { signing: fingerprintOfPem(rootCertificatePem), other: rotation ? fingerprintOfPem(rotation.other.rootCertificatePem) : '' };
}

function fingerprintOfPem(pem: string): string {
  const parsed = parseCertificates(pem);
  const root = parsed.ok ? parsed.value[0] : undefined;
  if (!root) throw new Error('the root in the keystore cannot be read');
  return fingerprintOf(root);
}

const named = 10;
const moveTexts: Readonly<Partial<Record<Move, string>>> = {
  switch: 'sign with the new root', retire: 'retire the old root', finish: 'forget the old root', unswitch: 'sign with the old root again', abandon: 'take the new root back',
};

function refusalText(move: Move, against: readonly Holdup[]): string {
  const lines = against.slice(0, named).map(({ kind, name, spiffeId, address, reason }) => `${[kind === 'silent' ? '' : name, spiffeId, address === '' ? '' : `at ${address}`].filter((text) => text !== '').join(' ')} ${reason}`.trim());
  const more = against.length > named ? `; and ${against.length - named} more` : '';
  return `not yet: to ${moveTexts[move] ?? move} now would cut off ${against.length === 1 ? 'one' : `${against.length}`}: ${lines.join('; ')}${more}`;
}
