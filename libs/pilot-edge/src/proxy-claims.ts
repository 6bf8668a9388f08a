import type { Config, PodSpec } from '@meltemi/config';
import type { Proxy, PushContext } from '@meltemi/pilot';

/**
 * What a proxy says of itself that the registry knows better: the name or the address of a Pod that runs as somebody else. Undefined when nothing does.
 * Pods alone count: whoever may write a WorkloadEntry may write any address into it.
 */
export function foreignClaim(push: PushContext, proxy: Proxy): string | undefined {
  const own = `${proxy.namespace}/${proxy.serviceAccount}`;
  const foreign = new Map<string, string>();
  const proved = new Set<string>();
  for (const { key, spec } of (push.inputs.get('Pod') ?? []) as readonly Config<PodSpec>[]) {
    const { status, serviceAccountName, hostNetwork } = spec;
    if (status.phase === 'Failed' || status.phase === 'Succeeded') continue;
    const runsAs = `${key.namespace}/${serviceAccountName || 'default'}`;
    if (`${key.name}.${key.namespace}` === proxy.name && runsAs !== own) return `Pod ${key.namespace}/${key.name} runs as ${runsAs}, not as ${own}`;
    // of many Pods on one node's address nobody can tell which
    if (hostNetwork) continue;
    const held = new Set([status.podIP, ...status.podIPs]);
    for (const address of proxy.addresses) {
      if (!held.has(address)) continue;
      if (runsAs === own) proved.add(address);
      else foreign.set(address, `address ${address} belongs to Pod ${key.namespace}/${key.name}, which runs as ${runsAs}, not as ${own}`);
    }
  }
  for (const [address, reason] of foreign) if (!proved.has(address)) return reason;
  return undefined;
}

/** The namespace in a proxy's name is the one of its certificate, or it would be shown as somebody else's. */
export function misnamed({ name, namespace }: Pick<Proxy, 'name' | 'namespace'>): string | undefined {
  const dot = name.lastIndexOf('.');
  return dot < 0 || name.slice(dot + 1) === namespace ? undefined : `its name ${name} is of another namespace than "${namespace}"`;
}
