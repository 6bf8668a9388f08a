import type { Config, ServiceEntryPort, ServiceEntryResolution, ServiceEntrySpec } from '@meltemi/config';
import { distribution, strangerAt, type KubernetesInputs, type ServiceOptions } from './kubernetes.ts';
import type { AutoAddresses } from './auto-addresses.ts';
import type { Endpoint, Resolution, Service } from './model.ts';
import { parseProtocol } from './protocol.ts';
import { entryWorkload, type WorkloadFacts } from './workloads.ts';

const resolutions: Readonly<Record<ServiceEntryResolution, Resolution>> = {
  NONE: 'passthrough',
  STATIC: 'static',
  DNS: 'dns',
  DNS_ROUND_ROBIN: 'dns-round-robin',
  DYNAMIC_DNS: 'dynamic-dns',
};

/** The services of a ServiceEntry: one per host. */
export function entryServices(config: Config<ServiceEntrySpec>, options: Omit<ServiceOptions, 'domain'> & { readonly autoAddresses?: AutoAddresses | undefined }): Service[] {
  const { meta, spec } = config;
  const ports = spec.ports.map((port) => ({ number: port.number, name: port.name, protocol: parseProtocol(port.protocol), targetPort: targetOf(port) }));
  return spec.hosts.map((hostname) => ({
    hostname,
    name: hostname,
    namespace: meta.namespace,
    registry: 'service-entry',
    ports: ports.filter((port) => port.protocol !== 'UDP'),
    addresses: spec.addresses.filter((address) => address !== '0.0.0.0'),
    autoAddresses: options.autoAddresses?.get(hostname) ?? [],
    selects: spec.workloadSelector !== undefined,
    resolution: entryResolution(spec, hostname),
    meshExternal: spec.location === 'MESH_EXTERNAL',
    exportTo: spec.exportTo.length > 0 ? spec.exportTo : options.defaultExportTo,
    aliases: [],
    subjectAltNames: spec.subjectAltNames,
    creationTimestamp: meta.creationTimestamp,
    publishNotReady: false,
    trafficDistribution: distribution('', meta.annotations, options.namespaceAnnotations),
    nodeLocal: false,
    labels: meta.labels,
  }));
}

/** A wildcard has no address of its own: without endpoints it can only be passed through. */
function entryResolution(spec: ServiceEntrySpec, hostname: string): Resolution {
  const resolution = resolutions[spec.resolution];
  const dns = resolution === 'dns' || resolution === 'dns-round-robin';
  return dns && hostname.startsWith('*') && spec.endpoints.length === 0 ? 'passthrough' : resolution;
}

/** Endpoints by service port number: those written inline, those the workloadSelector names, or the host itself for DNS. */
export function entryEndpoints(config: Config<ServiceEntrySpec>, service: Service, context: { readonly inputs: KubernetesInputs; readonly facts: WorkloadFacts }): Map<number, Endpoint[]> {
  const found = new Map<number, Endpoint[]>();
  for (const port of config.spec.ports) {
    const endpoints = [...inlineEndpoints(config, port, context.facts), ...selectedEndpoints(config, port, context.inputs)];
    // who selects workloads means them, also while there are none
    const byName = (service.resolution === 'dns' || service.resolution === 'dns-round-robin') && endpoints.length === 0 && !service.selects;
    found.set(port.number, byName ? [{ ...strangerAt(service.hostname, service.namespace, true), port: targetOf(port) }] : endpoints);
  }
  return found;
}

function inlineEndpoints(config: Config<ServiceEntrySpec>, port: ServiceEntryPort, facts: WorkloadFacts): Endpoint[] {
  return config.spec.endpoints
    .filter((entry) => entry.address !== '' || entry.network !== '')
    .map((entry) => ({ ...entryWorkload(entry, config.meta, facts), port: entry.address.startsWith('unix://') ? 0 : (entry.ports[port.name] ?? targetOf(port)) }));
}

function selectedEndpoints(config: Config<ServiceEntrySpec>, port: ServiceEntryPort, inputs: KubernetesInputs): Endpoint[] {
  const selector = config.spec.workloadSelector?.labels;
  if (selector === undefined || Object.keys(selector).length === 0) return [];
  const endpoints: Endpoint[] = [];
  for (const { ports, workload } of inputs.entriesSelectedBy(config.meta.namespace, selector)) endpoints.push({ ...workload, port: ports[port.name] ?? targetOf(port) });
  for (const { workload } of inputs.podsSelectedBy(config.meta.namespace, selector)) endpoints.push({ ...workload, port: targetOf(port) });
  return endpoints;
}

function targetOf(port: ServiceEntryPort): number {
  return port.targetPort === 0 ? port.number : port.targetPort;
}
