import type { Config, KubeServiceSpec } from '@meltemi/config';
import { kubernetesHostname } from './kubernetes.ts';
import type { Service } from './model.ts';

/**
 * Gives a service what it is an alias of, or its own aliases. An ExternalName service is another name of the host it points at, through other ExternalName
 * services if need be. Source: Istio's resolveServiceAliases.
 */
export function aliasNames(services: readonly Config<KubeServiceSpec>[], domain: string): (service: Service) => Service {
  const written = new Map<string, string>();
  for (const { meta, spec } of services) if (spec.type === 'ExternalName') written.set(kubernetesHostname(meta.name, meta.namespace, domain), trimDot(spec.externalName));
  if (written.size === 0) return (service) => service;
  const aliases = new Map<string, string[]>();
  for (const alias of [...written.keys()].toSorted()) {
    const host = endOf(alias, written);
    const known = host === undefined ? undefined : aliases.get(host);
    if (known) known.push(alias);
    else if (host !== undefined) aliases.set(host, [alias]);
  }
  return (service) => {
    const first = service.registry === 'kubernetes' ? written.get(service.hostname) : undefined;
    if (first !== undefined) return { ...service, aliasOf: endOf(service.hostname, written) ?? first };
    const own = aliases.get(service.hostname);
    return own ? { ...service, aliases: own } : service;
  };
}

/** Undefined in a circle: nobody resolves such a name. */
function endOf(alias: string, written: ReadonlyMap<string, string>): string | undefined {
  const seen = new Set([alias]);
  let host = written.get(alias);
  while (host !== undefined && written.has(host)) {
    if (seen.has(host)) return undefined;
    seen.add(host);
    host = written.get(host);
  }
  return host;
}

function trimDot(hostname: string): string {
  return hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
}
