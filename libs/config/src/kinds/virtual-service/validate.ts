import type { ObjectMeta } from '../../object.ts';
import type { Findings } from '../../rules/findings.ts';
import { checkGatewayNames } from '../../rules/gateways.ts';
import { isJwtClaim } from '../../rules/headers.ts';
import { hostOrIpReason, hostsOverlap, isAutoPassthroughSni } from '../../rules/hosts.ts';
import { checkExportTo } from '../../rules/visibility.ts';
import { child, item } from '../../schema/schema.ts';
import type { VirtualServiceSpec } from './types.ts';
import { checkL4Routes } from './validate-l4.ts';
import { checkHttpRoute } from './validate-http.ts';
import { warnCovered } from './covered.ts';
import { warnUnreachable } from './unreachable.ts';

/** Source: istio.io/istio pkg/config/validation (webhook), read for its rules; the messages are ours. */
export function validate(spec: VirtualServiceSpec, about: ObjectMeta, findings: Findings): void {
  const isDelegate = spec.hosts.length === 0;
  if (isDelegate) checkDelegate(spec, findings);
  checkGatewayNames(spec.gateways, 'spec.gateways', findings);
  const onGateway = spec.gateways.length > 0 && !spec.gateways.includes('mesh');
  if (!onGateway) checkNoClaims(spec, findings);
  checkHosts(spec, { onGateway, findings });
  if (spec.http.length + spec.tls.length + spec.tcp.length === 0) findings.error('spec', 'needs at least one route in http, tls or tcp');
  for (const [i, route] of spec.http.entries()) checkHttpRoute(route, { path: item('spec.http', i), isDelegate, findings });
  checkL4Routes(spec, { offMesh: !spec.gateways.includes('mesh'), findings });
  checkExportTo(spec.exportTo, findings, { namespace: about.namespace });
  for (const protocol of ['http', 'tls', 'tcp'] as const) warnUnreachable(spec[protocol], `spec.${protocol}`, findings);
  warnCovered(spec.http, findings);
}

function checkDelegate(spec: VirtualServiceSpec, findings: Findings): void {
  const why = 'without hosts this is a delegate, which takes them from the VirtualService that names it';
  if (spec.gateways.length > 0) findings.error('spec.gateways', `must be empty: ${why}`);
  if (spec.tls.length > 0) findings.error('spec.tls', 'must be empty: only http routes can be delegated (or set spec.hosts)');
  if (spec.tcp.length > 0) findings.error('spec.tcp', 'must be empty: only http routes can be delegated (or set spec.hosts)');
}

function checkNoClaims(spec: VirtualServiceSpec, findings: Findings): void {
  for (const [i, route] of spec.http.entries())
    for (const [j, match] of route.match.entries())
      for (const field of ['headers', 'withoutHeaders'] as const)
        for (const name of Object.keys(match[field]))
          if (isJwtClaim(name)) findings.error(child(`spec.http[${i}].match[${j}].${field}`, name), 'routing by JWT claims works only on gateways: name them in spec.gateways, without mesh');
}

function checkHosts(spec: VirtualServiceSpec, { onGateway, findings }: { onGateway: boolean; findings: Findings }): void {
  const hasSni = spec.tls.some((route) => route.match.some((match) => match.sniHosts.length > 0));
  let allValid = true;
  for (const [i, host] of spec.hosts.entries()) {
    const auto = onGateway && hasSni && isAutoPassthroughSni(host);
    const onlyMesh = !onGateway && host === '*';
    const reason = onlyMesh ? '"*" is not allowed on the mesh gateway: it would take all traffic of every sidecar; name a gateway or the hosts' : auto ? undefined : hostOrIpReason(host);
    findings.check(item('spec.hosts', i), reason);
    allValid &&= reason === undefined;
  }
  if (!allValid) return;
  for (const [i, host] of spec.hosts.entries()) {
    const earlier = spec.hosts.slice(0, i).find((one) => hostsOverlap(one, host));
    if (earlier !== undefined) findings.error(item('spec.hosts', i), `"${host}" is already covered by "${earlier}"`);
  }
}
