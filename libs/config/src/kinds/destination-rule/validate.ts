import type { ObjectMeta } from '../../object.ts';
import { isIpAddress, portReason } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { fqdnReason, wildcardDomainReason } from '../../rules/hosts.ts';
import { checkLabels, checkSelector } from '../../rules/labels.ts';
import { checkExportTo } from '../../rules/visibility.ts';
import { item } from '../../schema/schema.ts';
import { subsetNameReason } from '../virtual-service/validate-destination.ts';
import type { DestinationRuleSpec, PortTrafficPolicy, TrafficPolicy, TunnelSettings } from './types.ts';
import { checkConnectionPool, checkOutlierDetection } from './validate-connections.ts';
import { checkLoadBalancer } from './validate-load-balancer.ts';
import { checkClientTls } from './validate-tls.ts';

/** Source: istio.io/istio pkg/config/validation (webhook), read for its rules; the messages are ours. */
export function validate(spec: DestinationRuleSpec, about: ObjectMeta, findings: Findings): void {
  findings.check('spec.host', wildcardDomainReason(spec.host));
  checkPolicy(spec.trafficPolicy, { path: 'spec.trafficPolicy', findings, namespace: about.namespace });
  const names = new Set<string>();
  for (const [i, subset] of spec.subsets.entries()) {
    const path = item('spec.subsets', i);
    findings.check(`${path}.name`, subset.name === '' ? 'must not be empty' : subsetNameReason(subset.name));
    if (names.has(subset.name)) findings.error(`${path}.name`, `"${subset.name}" names an earlier subset already`);
    names.add(subset.name);
    checkLabels(subset.labels, `${path}.labels`, findings);
    checkPolicy(subset.trafficPolicy, { path: `${path}.trafficPolicy`, findings, namespace: about.namespace });
  }
  checkExportTo(spec.exportTo, findings, { namespace: about.namespace, ownNamespaceOnly: spec.workloadSelector !== undefined });
  checkSelector(spec.workloadSelector?.matchLabels, 'spec.workloadSelector.matchLabels', findings);
}

interface At {
  readonly path: string;
  readonly findings: Findings;
  readonly namespace: string;
}

function checkPolicy(policy: TrafficPolicy | undefined, { path, findings, namespace }: At): void {
  if (!policy) return;
  const extra = policy.tunnel ?? policy.proxyProtocol ?? policy.retryBudget;
  if (isEmpty(policy) && policy.portLevelSettings.length === 0 && !extra) findings.error(path, 'needs at least one setting');
  if (policy.tunnel && policy.proxyProtocol) findings.error(`${path}.proxyProtocol`, 'cannot be set beside tunnel');
  checkSettings(policy, { path, findings, namespace });
  for (const [i, port] of policy.portLevelSettings.entries()) {
    const at = item(`${path}.portLevelSettings`, i);
    if (!port.port) findings.error(`${at}.port`, 'is required');
    if (isEmpty(port)) findings.error(at, 'needs at least one of loadBalancer, connectionPool, outlierDetection or tls');
    checkSettings(port, { path: at, findings, namespace });
  }
  if (policy.tunnel) checkTunnel(policy.tunnel, { path: `${path}.tunnel`, findings });
  if ((policy.retryBudget?.budgetInterval ?? 0) < 0) findings.error(`${path}.retryBudget.budgetInterval`, 'must not be negative');
}

function isEmpty(policy: PortTrafficPolicy): boolean {
  return !policy.loadBalancer && !policy.connectionPool && !policy.outlierDetection && !policy.tls;
}

function checkSettings(policy: PortTrafficPolicy, { path, findings, namespace }: At): void {
  checkOutlierDetection(policy.outlierDetection, `${path}.outlierDetection`, findings);
  checkConnectionPool(policy.connectionPool, `${path}.connectionPool`, findings);
  checkLoadBalancer(policy.loadBalancer, { path: `${path}.loadBalancer`, findings, outlier: policy.outlierDetection });
  checkClientTls(policy.tls, `${path}.tls`, { findings, namespace });
}

function checkTunnel(tunnel: TunnelSettings, { path, findings }: Pick<At, 'path' | 'findings'>): void {
  if (!['', 'CONNECT', 'POST'].includes(tunnel.protocol)) findings.error(`${path}.protocol`, `must be CONNECT or POST, found "${tunnel.protocol}"`);
  findings.check(`${path}.targetHost`, isIpAddress(tunnel.targetHost) ? undefined : fqdnReason(tunnel.targetHost));
  findings.check(`${path}.targetPort`, portReason(tunnel.targetPort));
}
