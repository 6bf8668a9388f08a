import type { Config, KubeServiceSpec } from '@meltemi/config';
import type { PushContext } from '../../push-context/push-context.ts';
import { serviceKey, type Service } from '../../registry/model.ts';
import type { ConvertedGateway } from '../gateways.ts';
import { gatewayNameLabel, notes } from '../names.ts';

/** Where a Gateway is served. */
export interface GatewayPlaces {
  /** "host:port" of Services with workloads, or the workloads' label. */
  readonly assigned: readonly string[];
  readonly addresses: readonly { readonly type: string; readonly value: string }[];
  readonly warnings: readonly string[];
  /** False when something is written down that can never work. */
  readonly usable: boolean;
  /** No address that we can serve was asked for. */
  readonly nowhere: boolean;
}

interface Finding {
  readonly assigned: readonly string[];
  readonly service?: Service;
  readonly warnings: readonly string[];
  readonly usable: boolean;
}

/** Looks at all Services and workloads that a Gateway names. */
export function gatewayPlaces(push: PushContext, gateway: ConvertedGateway): GatewayPlaces {
  const { namespace } = gateway.gateway.meta;
  const ports = [...new Set(gateway.generated.flatMap(({ config }) => config.spec.servers.map(({ port }) => port.number)))];
  const findings = gateway.services.map((hostname) => serviceFinding(push, { hostname, namespace, ports }));
  const labelled = labelledWorkloads(push, gateway);
  const found = labelled !== undefined && findings.every(({ service }) => !service) ? [{ assigned: [labelled], warnings: [], usable: true }] : findings;
  const services = findings.flatMap(({ service, assigned }) => (service && assigned.length > 0 ? [service] : []));
  const external = services.flatMap((service) => externalAddresses(push, service));
  return {
    assigned: found.flatMap(({ assigned }) => assigned).sort(),
    addresses: external.length > 0 ? external : services.map(({ hostname }) => ({ type: 'Hostname', value: hostname })),
    warnings: found.flatMap(({ warnings }) => warnings).sort(),
    usable: found.every(({ usable }) => usable),
    nowhere: gateway.services.length === 0,
  };
}

function serviceFinding(push: PushContext, { hostname, namespace, ports }: { readonly hostname: string; readonly namespace: string; readonly ports: readonly number[] }): Finding {
  const all = push.services.byHost.get(hostname) ?? [];
  const service = all.find((candidate) => candidate.namespace === namespace);
  if (!service) {
    const elsewhere = all.map((candidate) => `"${candidate.namespace}"`).sort().join(', ');
    return { assigned: [], usable: false, warnings: [elsewhere === '' ? `hostname "${hostname}" not found` : `hostname "${hostname}" not found in namespace "${namespace}", but it was found in namespace(s) ${elsewhere}`] };
  }
  const endpoints = push.registry.endpoints.get(serviceKey(service)) ?? new Map();
  const served = (port: number) => (endpoints.get(port)?.length ?? 0) > 0;
  if (![...endpoints.keys()].some(served)) return { assigned: [], service, usable: true, warnings: [`no instances found for hostname "${hostname}"`] };
  const missing = ports.filter((port) => !served(port));
  return { assigned: ports.filter(served).map((port) => `${hostname}:${port}`), service, usable: missing.length === 0, warnings: missing.map((port) => missingPort(push, service, port)) };
}

function missingPort(push: PushContext, service: Service, port: number): string {
  const behind = [...(push.registry.endpoints.get(serviceKey(service)) ?? [])].filter(([, list]) => list.some((endpoint) => endpoint.port === port)).map(([number]) => number);
  const hint = behind.length === 0 ? '' : ` (the port of the Service is meant, not of the workload: ${behind.join(', ')}?)`;
  return `port ${port} not found for hostname "${service.hostname}"${hint}`;
}

function labelledWorkloads(push: PushContext, { gateway, generated }: ConvertedGateway): string | undefined {
  const name = generated[0]?.config.meta.annotations[notes.gatewayName];
  if (name === undefined) return undefined;
  const some = [...push.registry.workloads.values()].some(({ namespace, labels }) => namespace === gateway.meta.namespace && labels[gatewayNameLabel] === name);
  return some ? `workloads labelled ${gatewayNameLabel}=${name}` : undefined;
}

function externalAddresses(push: PushContext, { name, namespace }: Service): { readonly type: string; readonly value: string }[] {
  const written = push.inputs.get('Service')?.find(({ meta }) => meta.name === name && meta.namespace === namespace) as Config<KubeServiceSpec> | undefined;
  return (written?.spec.externalIPs ?? []).map((value) => ({ type: 'IPAddress', value }));
}
