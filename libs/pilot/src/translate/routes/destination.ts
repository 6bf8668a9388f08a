import type { Destination } from '@meltemi/config';
import { outboundCluster } from '@meltemi/xds';
import type { Scope } from '../../push-context/scope.ts';
import type { Service } from '../../registry/model.ts';

/** What names mean to a client: its scope, and the port it dialled (a gateway server's port). */
export interface DestinationContext {
  readonly scope: Scope;
  readonly port: number;
}

/** Istio's name for where a backend leads that cannot be used. */
const unknownService = 'UnknownService';

/** "outbound|9080|v1|reviews…": the destination's cluster. An ExternalName that names a service is that service. */
export function clusterOf(context: DestinationContext, destination: Destination): string {
  if (destination.host === '') return unknownService;
  return outboundCluster(destinationPort(context, destination), serviceOf(context.scope, destination.host)?.hostname ?? destination.host, destination.subset);
}

/** The port asked for, else the service's only one, else the one the client dialled. */
export function destinationPort({ scope, port }: DestinationContext, destination: Destination): number {
  const wanted = destination.port?.number ?? 0;
  if (wanted !== 0) return wanted;
  const ports = serviceOf(scope, destination.host)?.ports ?? [];
  return ports.length === 1 ? (ports[0]?.number ?? port) : port;
}

function serviceOf(scope: Scope, host: string): Service | undefined {
  return scope.byHost.get(host) ?? aliasesOf(scope).get(host);
}

const aliases = new WeakMap<Scope, ReadonlyMap<string, Service>>();

function aliasesOf(scope: Scope): ReadonlyMap<string, Service> {
  const known = aliases.get(scope);
  if (known) return known;
  const found = new Map(scope.services.flatMap((service) => service.aliases.map((alias) => [alias, service])));
  aliases.set(scope, found);
  return found;
}
