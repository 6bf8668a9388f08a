import { Metadata } from '@grpc/grpc-js';
import { ObjectDistribution_State, type ObjectDistribution, type WaitProgress, type WaitRequest } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { parseDurationMs } from '@meltemi/base';
import { CliError, exitCode } from './cli-error.ts';
import { holdUpLines, lagLine, pilotLines } from './distribution.ts';
import type { Output } from './output.ts';
import { readStream, type PilotClient } from './pilot-client.ts';

export const defaultWaitMs = 30_000;

/** Milliseconds of `--wait[=30s]` or `--timeout 30s`. */
export function waitMs(option: string, text: string): number {
  const parsed = parseDurationMs(text);
  if (!parsed.ok || parsed.value <= 0) throw new CliError(`${option} ${text}: write a duration like 30s or 1m`, exitCode.usage);
  return parsed.value;
}

/** "after 30 s". */
export function afterText(timeoutMs: number): string {
  return `after ${Math.round(timeoutMs / 100) / 10} s`;
}

/** Pilot's last word on a wait; undefined when it ended without one. */
export async function waitFor(client: PilotClient, { timeoutMs, ...ask }: { timeoutMs: number } & Partial<Omit<WaitRequest, 'timeoutMs'>>): Promise<WaitProgress | undefined> {
  let last: WaitProgress | undefined;
  const request: WaitRequest = { revision: '', objects: [], removed: false, threshold: 0, generation: '', ...ask, timeoutMs: BigInt(Math.round(timeoutMs)) };
  const stream = client.config.wait(request, new Metadata(), { deadline: Date.now() + timeoutMs + 5000 });
  await readStream(stream, (progress) => { last = progress; });
  return last;
}

/** Waits for a write to reach traffic; rejects naming, for each object, who lags or refuses. */
export async function waitUntilLive(client: PilotClient, wait: { revision: string; timeoutMs: number; objects?: WaitRequest['objects'] }, output: Output): Promise<void> {
  const last = await waitFor(client, wait);
  if (last?.done) return output.err(`live at ${last.affected} ${last.affected === 1 ? 'proxy' : 'proxies'}`);
  const held = (last?.objects ?? []).filter((object) => !isEverywhere(object));
  const known = held.flatMap(holdUpLines);
  const lines = held.length > 0 ? [...known, ...pilotLines(last?.laggards ?? []).filter((line) => !known.includes(`  ${line}`))] : (last?.laggards ?? []).map(lagLine);
  throw new CliError(`Stored, but not live everywhere${last?.timedOut === true ? ` ${afterText(wait.timeoutMs)}` : ''}: ${last?.following ?? 0} of ${last?.affected ?? 0} proxies follow.\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

function isEverywhere({ state, following, proxies }: ObjectDistribution): boolean {
  return state === ObjectDistribution_State.IN_FORCE && following === proxies;
}
