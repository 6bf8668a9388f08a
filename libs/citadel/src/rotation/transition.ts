import { err, ok, type Result } from '@meltemi/base';
import type { AuthorityMaterial } from '../authority-material.ts';
import { maxRetiredRoots, type RootMaterial, type RotationRecord } from './rotation-record.ts';

/** What an operator, or citadel itself, does to a rotation. */
export const rotationActions = ['start', 'step', 'back', 'pause', 'resume'] as const;
export type RotationAction = (typeof rotationActions)[number];

/** Where an action leads: the only moves there are. `none`: no rotation. */
export type Move = 'begin' | 'switch' | 'retire' | 'finish' | 'unswitch' | 'unretire' | 'abandon' | 'pause' | 'resume';

export interface MoveContext {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** For `begin`: the new root. */
  readonly next?: RootMaterial;
  /** For `begin`: go on by itself. */
  readonly automatic?: boolean;
  /** For `finish` and `abandon`: SHA-256 of the root that goes. */
  readonly leaving?: string;
}

/** The move an action means now; an error says why there is none. */
export function moveOf(action: RotationAction, rotation: RotationRecord | undefined): Result<Move, string> {
  if (action === 'start') return rotation ? err(`a rotation is under way already (${rotation.phase}${rotation.paused ? ', paused' : ''}): step, back, pause or resume it`) : ok('begin');
  if (!rotation) return err('no rotation is under way: start one');
  if (action === 'pause') return rotation.paused ? err('the rotation is paused already') : ok('pause');
  if (action === 'resume') return rotation.paused || !rotation.automatic ? ok('resume') : err('the rotation is not paused');
  if (action === 'back') return ok(({ distributing: 'abandon', switched: 'unswitch', retiring: 'unretire' } as const)[rotation.phase]);
  if (rotation.paused) return err('the rotation is paused: resume it first');
  return ok(({ distributing: 'switch', switched: 'retire', retiring: 'finish' } as const)[rotation.phase]);
}

/** Makes a move: one value in, one value out, so that one save is the whole of it. Whether it may be made now, `holdups` says. */
export function moved(material: AuthorityMaterial, move: Move, context: MoveContext): AuthorityMaterial {
  const { now } = context;
  if (move === 'begin') {
    if (!context.next) throw new Error('a rotation needs a new root');
    return { ...material, rotation: { phase: 'distributing', paused: false, automatic: context.automatic ?? false, startedAt: now, since: now, servedByOther: false, other: context.next } };
  }
  const { rotation, ...rest } = material;
  if (!rotation) throw new Error(`${move} needs a rotation under way`);
  const to = (change: Partial<RotationRecord>): AuthorityMaterial => ({ ...rest, rotation: { ...rotation, since: now, ...change } });
  switch (move) {
    case 'pause':
      return { ...material, rotation: { ...rotation, paused: true } };
    case 'resume':
      // Who resumes means that it should go on, also after a step back by hand.
      return { ...material, rotation: { ...rotation, paused: false, automatic: true } };
    case 'switch':
      return { ...exchanged(rest, rotation.other), rotation: { ...rotation, phase: 'switched', since: now, servedByOther: true, other: rootOf(rest) } };
    case 'unswitch':
      return { ...exchanged(rest, rotation.other), rotation: { ...rotation, phase: 'distributing', automatic: false, since: now, servedByOther: false, other: rootOf(rest) } };
    case 'retire':
      return to({ phase: 'retiring', servedByOther: false });
    case 'unretire':
      // Some believe only the new root by now: citadel's own certificate stays with it.
      return to({ phase: 'switched', automatic: false });
    case 'finish':
    case 'abandon':
      return context.leaving === undefined ? rest : { ...rest, retiredRoots: [...(rest.retiredRoots ?? []), { fingerprint: context.leaving, retiredAt: now }].slice(-maxRetiredRoots) };
  }
}

function exchanged(material: AuthorityMaterial, root: RootMaterial): AuthorityMaterial {
  return { ...material, ...root };
}

function rootOf({ rootCertificatePem, rootKeyPem, issuingCertificatePem, issuingKeyPem, retiredIssuingPem }: AuthorityMaterial): RootMaterial {
  return { rootCertificatePem, rootKeyPem, issuingCertificatePem, issuingKeyPem, retiredIssuingPem };
}
