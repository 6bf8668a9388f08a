import type { ObjectMeta } from '../../object.ts';
import type { Findings } from '../../rules/findings.ts';
import { fqdnReason } from '../../rules/hosts.ts';
import { protocolFamily } from '../../rules/protocols.ts';
import { item } from '../../schema/schema.ts';
import { checkWorkload } from '../workload-entry/validate.ts';
import type { ServiceEntrySpec } from './types.ts';

/** What each way of finding the endpoints asks of the other fields. */
export function checkResolution(spec: ServiceEntrySpec, about: ObjectMeta, findings: Findings): void {
  switch (spec.resolution) {
    case 'NONE':
      if (spec.endpoints.length > 0) findings.error('spec.endpoints', 'must be empty for resolution NONE, which connects to where the client asked for: use STATIC or DNS');
      if (spec.workloadSelector) findings.warn('spec.workloadSelector', 'has no effect for resolution NONE');
      return;
    case 'STATIC':
      checkEndpoints(spec, false, findings);
      return;
    case 'DNS':
    case 'DNS_ROUND_ROBIN':
      checkDns(spec, findings);
      return;
    case 'DYNAMIC_DNS':
      checkDynamicDns(spec, about, findings);
  }
}

function checkEndpoints(spec: ServiceEntrySpec, allowNames: boolean, findings: Findings): void {
  const servicePorts = new Set(spec.ports.map((port) => port.name));
  for (const [i, endpoint] of spec.endpoints.entries()) checkWorkload(endpoint, { path: item('spec.endpoints', i), findings, allowNames, servicePorts });
}

function checkDns(spec: ServiceEntrySpec, findings: Findings): void {
  if (spec.endpoints.length === 0)
    for (const [i, host] of spec.hosts.entries())
      if (fqdnReason(host) !== undefined) findings.error(item('spec.hosts', i), `"${host}" cannot be looked up: give a full name, or endpoints`);
  if (spec.resolution === 'DNS_ROUND_ROBIN' && spec.endpoints.length > 1) findings.error('spec.endpoints', 'must have at most one for resolution DNS_ROUND_ROBIN');
  for (const [i, endpoint] of spec.endpoints.entries())
    if (endpoint.address === '') findings.error(`${item('spec.endpoints', i)}.address`, `is required for resolution ${spec.resolution}`);
    else if (endpoint.address.startsWith('unix://')) findings.error(`${item('spec.endpoints', i)}.address`, 'a Unix domain socket needs resolution STATIC');
  checkEndpoints(spec, true, findings);
  const opaque = spec.ports.some((port) => ['tcp', 'tls', 'https'].includes(protocolFamily(port.protocol) ?? ''));
  if (spec.addresses.length > 0 && spec.hosts.length > 1 && opaque) findings.warn('spec.hosts', 'several hosts cannot share an address on a port that is not HTTP');
}

const dynamicProtocols = ['HTTP', 'HTTP2', 'GRPC', 'TLS'];

function checkDynamicDns(spec: ServiceEntrySpec, about: ObjectMeta, findings: Findings): void {
  for (const [i, host] of spec.hosts.entries()) if (!host.startsWith('*')) findings.error(item('spec.hosts', i), `"${host}" must start with "*" for resolution DYNAMIC_DNS`);
  for (const field of ['addresses', 'endpoints'] as const)
    if (spec[field].length > 0) findings.error(`spec.${field}`, 'must be empty for resolution DYNAMIC_DNS, which takes the address from the host of each request');
  for (const [i, port] of spec.ports.entries())
    if (!dynamicProtocols.includes(port.protocol.toUpperCase()))
      findings.error(`${item('spec.ports', i)}.protocol`, `must be one of ${dynamicProtocols.join(', ')} for resolution DYNAMIC_DNS`);
  const waypoint = about.labels['istio.io/use-waypoint'] ?? '';
  if (spec.location === 'MESH_INTERNAL' && waypoint !== '' && waypoint.toLowerCase() !== 'none')
    findings.error('spec.location', 'must be MESH_EXTERNAL for resolution DYNAMIC_DNS with a waypoint');
}
