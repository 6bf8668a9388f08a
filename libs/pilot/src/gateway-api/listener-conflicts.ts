import type { Config, GatewayListenerSpec } from '@meltemi/config';
import type { Problem } from './problem.ts';

/** A listener and the object it stands in. */
export interface OwnedListener {
  readonly owner: Config;
  readonly listener: GatewayListenerSpec;
}

/** Of listeners in their order of precedence, those that lose a port or a host to an earlier one. A loser takes nothing from others. */
export function listenerConflicts(listeners: readonly OwnedListener[]): Map<GatewayListenerSpec, Problem> {
  const winners: GatewayListenerSpec[] = [];
  const losers = new Map<GatewayListenerSpec, Problem>();
  for (const { listener } of listeners) {
    const winner = winners.find((other) => collide(listener, other));
    if (winner) losers.set(listener, conflict(listener, winner));
    else winners.push(listener);
  }
  return losers;
}

const raw: readonly string[] = ['TCP', 'UDP'];

/** Hosts tell HTTP, HTTPS and TLS apart on one port; raw bytes share a port with nobody. */
function collide(a: GatewayListenerSpec, b: GatewayListenerSpec): boolean {
  if (a.port !== b.port) return false;
  if (raw.includes(a.protocol) || raw.includes(b.protocol)) return true;
  return (a.hostname || '*') === (b.hostname || '*');
}

function conflict(loser: GatewayListenerSpec, winner: GatewayListenerSpec): Problem {
  const reason = loser.protocol !== winner.protocol || raw.includes(loser.protocol) ? 'ProtocolConflict' : 'HostnameConflict';
  return { reason, message: `listener "${winner.name}" (${winner.protocol}) has port ${winner.port}${raw.includes(winner.protocol) ? '' : ` for ${winner.hostname || 'every host'}`} already` };
}
