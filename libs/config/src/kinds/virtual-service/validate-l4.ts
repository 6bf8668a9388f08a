import { isIpAddress, portReason, subnetReason } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { checkGatewayNames } from '../../rules/gateways.ts';
import { hostIsSubset, isAutoPassthroughSni, wildcardDomainReason } from '../../rules/hosts.ts';
import { checkLabels } from '../../rules/labels.ts';
import { item } from '../../schema/schema.ts';
import type { L4MatchAttributes, RouteDestination, TlsMatchAttributes, VirtualServiceSpec } from './types.ts';
import { checkDestination, checkWeights } from './validate-destination.ts';

interface L4Check {
  /** Not (also) for the sidecars by name: hosts may be those of automatic passthrough. */
  readonly offMesh: boolean;
  readonly findings: Findings;
}

export function checkL4Routes(spec: VirtualServiceSpec, check: L4Check): void {
  const { findings } = check;
  for (const [i, route] of spec.tls.entries()) {
    const path = item('spec.tls', i);
    if (route.match.length === 0) findings.error(`${path}.match`, 'needs at least one match with sniHosts');
    for (const [j, match] of route.match.entries()) {
      checkSni(match, { ...check, path: item(`${path}.match`, j), hosts: spec.hosts });
      checkMatch(match, item(`${path}.match`, j), findings);
    }
    checkRoute(route.route, `${path}.route`, findings);
  }
  for (const [i, route] of spec.tcp.entries()) {
    const path = item('spec.tcp', i);
    for (const [j, match] of route.match.entries()) checkMatch(match, item(`${path}.match`, j), findings);
    checkRoute(route.route, `${path}.route`, findings);
  }
}

function checkSni(match: TlsMatchAttributes, { path, hosts, offMesh, findings }: L4Check & { path: string; hosts: readonly string[] }): void {
  if (match.sniHosts.length === 0) findings.error(`${path}.sniHosts`, 'needs at least one host');
  for (const [i, sni] of match.sniHosts.entries()) {
    const at = item(`${path}.sniHosts`, i);
    if (isIpAddress(sni)) {
      findings.warn(at, `"${sni}" is an IP address, which clients do not send as SNI`);
      continue;
    }
    const reason = offMesh && isAutoPassthroughSni(sni) ? undefined : wildcardDomainReason(sni);
    if (reason !== undefined) findings.error(at, reason);
    else if (!hosts.some((host) => hostIsSubset(sni, host))) findings.error(at, `"${sni}" is not covered by spec.hosts (${hosts.join(', ')})`);
  }
}

function checkMatch(match: L4MatchAttributes | TlsMatchAttributes, path: string, findings: Findings): void {
  for (const [i, subnet] of match.destinationSubnets.entries()) findings.check(item(`${path}.destinationSubnets`, i), subnetReason(subnet));
  if (match.port !== 0) findings.check(`${path}.port`, portReason(match.port));
  checkLabels(match.sourceLabels, `${path}.sourceLabels`, findings);
  checkGatewayNames(match.gateways, `${path}.gateways`, findings);
}

function checkRoute(route: readonly RouteDestination[], path: string, findings: Findings): void {
  if (route.length === 0) findings.error(path, 'needs at least one destination');
  for (const [i, one] of route.entries()) checkDestination(one.destination, `${item(path, i)}.destination`, findings);
  checkWeights(route, path, findings);
}
