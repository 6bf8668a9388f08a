import type { Result } from '@meltemi/base';
import type { RotationFacts } from './facts.ts';
import type { Holdup } from './holdups.ts';
import type { RotationPhase } from './rotation-record.ts';
import type { Move, RotationAction } from './transition.ts';

/** A change of the root as operators see and steer it, whoever has the root's key. */
export interface Rotation {
  /** Why `start` starts nothing here; "" when it does. */
  readonly cannotStart: string;
  /** Does what an operator asks for, or refuses, naming who would be cut off. The authority has to be refreshed afterwards. Rejects when a keystore fails. */
  act(request: RotationRequest): Promise<Result<Move, RotationRefusal>>;
  /** Rejects when a keystore fails. */
  progress(): Promise<RotationProgress>;
  /** Takes the next step of a rotation that goes on by itself, when nobody would be cut off. Undefined: nothing was to do, or not yet. */
  advance(): Promise<Move | undefined>;
}

/** True where the root changes with files that are plugged in: nobody starts a change by hand. */
export function isPluggedIn({ cannotStart }: Rotation): boolean {
  return cannotStart !== '';
}

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

const named = 10;
const moveTexts: Readonly<Partial<Record<Move, string>>> = {
  switch: 'sign with the new root', retire: 'retire the old root', finish: 'forget the old root', unswitch: 'sign with the old root again', abandon: 'take the new root back',
};

/** What is said to who asked for a move that would cut somebody off. */
export function refusalText(move: Move, against: readonly Holdup[]): string {
  return `not yet: to ${moveTexts[move] ?? move} now would cut off ${against.length === 1 ? 'one' : `${against.length}`}: ${holdupText(against)}`;
}

/** Who they are, the first ten by name. */
export function holdupText(against: readonly Holdup[]): string {
  const lines = against.slice(0, named).map(({ kind, name, spiffeId, address, reason }) => `${[kind === 'silent' ? '' : name, spiffeId, address === '' ? '' : `at ${address}`].filter((text) => text !== '').join(' ')} ${reason}`.trim());
  return `${lines.join('; ')}${against.length > named ? `; and ${against.length - named} more` : ''}`;
}

