import { err, ok, type Clock, type Result } from '@meltemi/base';
import { fingerprintOf, parseCertificates } from '@meltemi/identity';
import type { AuthorityMaterial } from '../authority-material.ts';
import type { KeptAuthority, RootMaking } from '../kept-authority.ts';
import type { Leadership } from '../leadership.ts';
import { holdups, type RotationRoots } from './holdups.ts';
import type { Roster } from './roster.ts';
import { refusalText, type Rotation, type RotationProgress, type RotationRefusal, type RotationRequest } from './rotation.ts';
import { moved, moveOf, type Move } from './transition.ts';

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
export class RootRotation implements Rotation {
  readonly cannotStart = '';
  readonly #options: RootRotationOptions;

  constructor(options: RootRotationOptions) {
    this.#options = options;
  }

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
