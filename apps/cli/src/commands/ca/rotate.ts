import { setTimeout as delay } from 'node:timers/promises';
import type { RotationStatus } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { CliError, exitCode } from '../../cli-error.ts';
import type { Output } from '../../output.ts';
import { afterText } from '../../wait-call.ts';
import type { CitadelClient } from './citadel-client.ts';
import { holdupLines, phaseLine, short } from './status-text.ts';

const actions = ['start', 'step', 'pause', 'resume', 'back'] as const;
const pollMs = 500;
const shownHoldups = 5;

export interface RotateOptions {
  readonly without: readonly string[];
  readonly timeoutMs: number;
  readonly wait: boolean;
}

/** One action, or without one the whole rotation: starts it, or goes on with the one under way, and follows it to its end. Resolves with the last state. */
export async function rotate(client: CitadelClient, action: string | undefined, { options, output }: { readonly options: RotateOptions; readonly output: Output }): Promise<RotationStatus> {
  if (options.without.length > 0 && action !== 'step' && action !== 'back') throw new CliError('--without belongs to step and back: who is left behind is decided for one step.', exitCode.usage);
  if (action === undefined) return whole(client, options, output);
  const known = actions.find((name) => name === action);
  if (!known) throw new CliError(`rotate ${action}: use ${actions.join(', ')}, or nothing to do it all`, exitCode.usage);
  return client.act({ action: known, automatic: false, without: [...options.without] });
}

async function whole(client: CitadelClient, { timeoutMs, wait }: RotateOptions, output: Output): Promise<RotationStatus> {
  const before = await client.status();
  if (before.phase !== '' && before.paused) throw new CliError(`The rotation is paused (${before.phase}). Go on with: meltemi ca rotate resume`);
  const status = before.phase === '' ? await client.act({ action: 'start', automatic: true, without: [] }) : before.automatic ? before : await client.act({ action: 'resume', automatic: true, without: [] });
  if (!wait) return status;
  output.err('The rotation goes on by itself, also without this command.');
  return follow(client, { first: status, wanted: newRootOf(status), timeoutMs }, output);
}

/** The root that signs in the end. */
function newRootOf({ phase, roots }: RotationStatus): string | undefined {
  return roots.find(({ role }) => role === (phase === 'distributing' ? 'next' : 'signing'))?.fingerprint;
}

async function follow(client: CitadelClient, { first, wanted, timeoutMs }: { readonly first: RotationStatus; readonly wanted: string | undefined; readonly timeoutMs: number }, output: Output): Promise<RotationStatus> {
  const endsAt = Date.now() + timeoutMs;
  let shown = '';
  let last = first;
  for (;;) {
    const lines = progressLines(last);
    if (lines.join('\n') !== shown) for (const line of lines) output.err(line);
    shown = lines.join('\n');
    if (last.phase === '') break;
    if (last.paused) throw new CliError('Somebody paused the rotation. Go on with: meltemi ca rotate resume');
    if (!last.automatic) throw new CliError(`Somebody took the rotation a step back; it is ${last.phase}. Go on with: meltemi ca rotate`);
    if (Date.now() >= endsAt) throw new CliError([`Not done ${afterText(timeoutMs)}; it goes on by itself. It waits for:`, ...holdupLines(last).map((line) => `  ${line}`)].join('\n'));
    await delay(pollMs);
    const next = await client.statusIfThere();
    if (!next) output.err('citadel does not answer; waiting');
    last = next ?? last;
  }
  const signing = last.roots.find(({ role }) => role === 'signing')?.fingerprint ?? '';
  if (wanted !== undefined && signing !== wanted) throw new CliError(`The rotation was taken back: root ${short(signing)} signs as before.`);
  return last;
}

function progressLines(status: RotationStatus): string[] {
  // Times would make every line a new one.
  const waiting = status.phase === '' ? [] : status.holdups.slice(0, shownHoldups).map(({ name, spiffeId, reason }) => `  waits for ${[name, spiffeId, reason].filter((text) => text !== '').join(' ')}`);
  const more = status.phase !== '' && status.holdupsTotal > shownHoldups ? [`  and ${status.holdupsTotal - shownHoldups} more`] : [];
  return [status.phase === '' ? 'done' : phaseLine(status), ...waiting, ...more];
}
