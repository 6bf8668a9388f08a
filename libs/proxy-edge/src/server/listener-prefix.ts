import type { Listener } from '@meltemi/snapshot';

/** What the names of a listener's statistics begin with: "listener.0.0.0.0_8443". */
export function listenerPrefix(listener: Listener): string {
  return `listener.${listener.statPrefix || addressText(listener)}`;
}

function addressText(listener: Listener): string {
  const first = listener.addresses[0];
  if (first === undefined) return listener.name;
  return first.kind === 'ip' ? `${first.address}_${first.port}` : first.path;
}
