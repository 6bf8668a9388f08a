import type { Destination } from '@meltemi/config';
import { outboundCluster } from '@meltemi/xds';
import type { Scope } from '../../push-context/scope.ts';

/** What names mean to a client: its scope, and the port it dialled (a gateway server's port). */
export interface DestinationContext {
  readonly scope: Scope;
  readonly port: number;
}

/** Istio's name for where a backend leads that cannot be used. */
const unknownService = 'UnknownService';

/** "outbound|9080|v1|reviews…": the destination's cluster. An ExternalName service is what it names. */
export function clusterOf(context: DestinationContext, destination: Destination): string {
  if (destination.host === '') return unknownService;
  return outboundCluster(destinationPort(context, destination), context.scope.byHost.get(destination.host)?.aliasOf ?? destination.host, destination.subset);
}

/** The port asked for, else the service's only one, else the one the client dialled. */
export function destinationPort({ scope, port }: DestinationContext, destination: Destination): number {
  const wanted = destination.port?.number ?? 0;
  if (wanted !== 0) return wanted;
  const named = scope.byHost.get(destination.host);
  const ports = (named?.aliasOf !== undefined && named.ports.length === 0 ? scope.byHost.get(named.aliasOf) : named)?.ports ?? [];
  return ports.length === 1 ? (ports[0]?.number ?? port) : port;
}
