import type { SlowStart } from '@meltemi/snapshot';
import { healthOf } from './host-set.ts';
import type { Host } from './host.ts';

/** The part of its weight that a host gets `nowMs`: 1 once its window is over. @hot */
export function slowStartFactor({ windowMs, aggression, minWeight }: SlowStart, host: Host, nowMs: number): number {
  const since = nowMs - host.state.readySinceMs;
  if (since >= windowMs || healthOf(host) !== 'healthy') return 1;
  const passed = Math.max(1, since) / windowMs;
  return Math.max(minWeight, aggression === 1 ? passed : passed ** (1 / aggression));
}

/** When the last of the hosts is past its window, in monotonic milliseconds. */
export function slowStartEndMs({ windowMs }: SlowStart, hosts: readonly Host[]): number {
  return hosts.reduce((latest, { state }) => Math.max(latest, state.readySinceMs + windowMs), -Infinity);
}
