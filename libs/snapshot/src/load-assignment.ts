import type { Locality as LocalityMessage } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import type { Endpoint_HealthCheckConfig, LbEndpoint, LocalityLbEndpoints } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint_components.ts';
import type { Result } from '@meltemi/base';
import { compileFraction, never } from '@meltemi/match';
import { checkFields, plainMetadata, Report } from '@meltemi/route';
import { compileAddress, targetKey } from './address.ts';
import { finish } from './context.ts';
import { assignmentPolicyFields, endpointFields, lbEndpointFields, loadAssignmentFields, localityFields } from './cluster-tables.ts';
import type { Endpoint, LoadAssignment, Locality, LocalityEndpoints } from './cluster-types.ts';
import type { Compiled } from './extensions.ts';
import { compileHostTlvs } from './tlv-selection.ts';

/** Envoy's overprovisioning factor, percent. */
const defaultOverprovisioning = 140;
const maxPriority = 128;
const health = ['healthy', 'healthy', 'unhealthy', 'unhealthy', 'unhealthy', 'degraded'] as const;
const nowhere: Locality = { region: '', zone: '', subZone: '' };

/** Compiles endpoints as EDS sends them: addresses must be IPs. */
export function compileLoadAssignment(message: ClusterLoadAssignment): Result<Compiled<LoadAssignment>> {
  const report = new Report();
  return finish(report, compileAssignment(message, '', false, report));
}

/** The same below `path` of a cluster; DNS clusters have names instead of IPs. */
export function compileAssignment(message: ClusterLoadAssignment, path: string, allowNames: boolean, report: Report): LoadAssignment {
  const under = path === '' ? '' : `${path}.`;
  checkFields(message, loadAssignmentFields, path, report);
  const policy = message.policy;
  if (policy) checkFields(policy, assignmentPolicyFields, `${under}policy`, report);
  const priorities: LocalityEndpoints[][] = [];
  for (const [i, locality] of message.endpoints.entries()) {
    const at = `${under}endpoints[${i}]`;
    if (locality.priority > maxPriority) {
      report.refuse(`${at}.priority`, `must be at most ${maxPriority}`);
      continue;
    }
    while (priorities.length <= locality.priority) priorities.push([]);
    priorities[locality.priority]?.push(compileLocality(locality, at, allowNames, report));
  }
  const gap = priorities.findIndex((localities) => localities.length === 0);
  if (gap >= 0) report.refuse(`${under}endpoints`, `no locality has priority ${gap}, though one has ${priorities.length - 1}: priorities must not have gaps`);
  return {
    clusterName: message.clusterName,
    priorities: priorities.length === 0 ? [[]] : priorities,
    overprovisioningFactor: policy?.overprovisioningFactor ?? defaultOverprovisioning,
    weightedPriorityHealth: policy?.weightedPriorityHealth ?? false,
    drops: (policy?.dropOverloads ?? []).map((drop) => ({ category: drop.category, perMillion: compileFraction(drop.dropPercentage, never).perMillion })),
  };
}

function compileLocality(message: LocalityLbEndpoints, path: string, allowNames: boolean, report: Report): LocalityEndpoints {
  checkFields(message, localityFields, path, report);
  const locality = plainLocality(message.locality);
  const list = message.lbConfig?.$case === 'loadBalancerEndpoints' ? message.lbConfig.value.lbEndpoints : message.lbEndpoints;
  const endpoints = list.flatMap((endpoint, i) => compileEndpoint(endpoint, locality, `${path}.lb_endpoints[${i}]`, { allowNames, report }) ?? []);
  return { locality, weight: message.loadBalancingWeight ?? null, endpoints };
}

function plainLocality(message: LocalityMessage | undefined): Locality {
  return message ? { region: message.region, zone: message.zone, subZone: message.subZone } : nowhere;
}

function compileEndpoint(message: LbEndpoint, locality: Locality, path: string, at: { allowNames: boolean; report: Report }): Endpoint | null {
  const { report } = at;
  checkFields(message, lbEndpointFields, path, report);
  const identifier = message.hostIdentifier;
  if (identifier?.$case !== 'endpoint') {
    if (!identifier) report.refuse(path, 'needs an endpoint');
    return null;
  }
  checkFields(identifier.value, endpointFields, `${path}.endpoint`, report);
  const target = compileAddress(identifier.value.address, `${path}.endpoint.address`, at.allowNames, report);
  const state = health[message.healthStatus as 0 | 1 | 2 | 3 | 4 | 5];
  if (state === undefined) report.refuse(`${path}.health_status`, `${message.healthStatus} is not known`);
  if (message.loadBalancingWeight === 0) report.refuse(`${path}.load_balancing_weight`, 'must be at least 1');
  const proxyTlvs = compileHostTlvs(message.metadata, path, report);
  return target && {
    target, key: targetKey(target), hostname: identifier.value.hostname, weight: message.loadBalancingWeight ?? 1, health: state ?? 'unhealthy',
    metadata: plainMetadata(message.metadata), locality, ...endpointCheck(identifier.value.healthCheckConfig, `${path}.endpoint.health_check_config`, report),
    ...(proxyTlvs.length > 0 && { proxyTlvs }),
  };
}

function endpointCheck(config: Endpoint_HealthCheckConfig | undefined, path: string, report: Report): Pick<Endpoint, 'healthCheck'> {
  if (!config) return {};
  const target = config.address ? compileAddress(config.address, `${path}.address`, false, report) : null;
  if (config.portValue > 65_535) report.refuse(`${path}.port_value`, `${config.portValue} is not a port`);
  return { healthCheck: { target, port: config.portValue === 0 ? null : config.portValue, hostname: config.hostname, disabled: config.disableActiveHealthCheck } };
}
