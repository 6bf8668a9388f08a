import type { ObjectMeta } from '../../object.ts';
import { portReason } from '../../rules/addresses.ts';
import { durationReason } from '../../rules/durations.ts';
import type { Findings } from '../../rules/findings.ts';
import { isDnsLabel, wildcardDomainReason } from '../../rules/hosts.ts';
import { checkLocalityLb, checkZoneAwareLb } from '../../rules/localities.ts';
import { item } from '../../schema/schema.ts';
import { checkConnectionPool, checkOutlierDetection } from '../destination-rule/validate-connections.ts';
import { checkClientTls } from '../destination-rule/validate-tls.ts';
import { checkRetries } from '../virtual-service/validate-retries.ts';
import { checkExtAuthz } from './ext-authz-provider.ts';
import type { MeshConfigSpec } from './types.ts';

const hourMs = 3_600_000;

/** Source: istio.io/istio pkg/config/validation/agent, read for its rules; the messages are ours. */
export function validate(spec: MeshConfigSpec, _about: ObjectMeta, findings: Findings): void {
  checkPorts(spec, findings);
  findings.check('spec.connectTimeout', spec.connectTimeout > hourMs ? 'must be at most 1h' : durationReason(spec.connectTimeout));
  if (spec.protocolDetectionTimeout !== 0) findings.check('spec.protocolDetectionTimeout', durationReason(spec.protocolDetectionTimeout));
  checkLocalityLb(spec.localityLbSetting, { path: 'spec.localityLbSetting', findings, outlier: 'mesh' });
  checkZoneAwareLb(spec.zoneAwareLbSetting, { path: 'spec.zoneAwareLbSetting', findings, outlier: 'mesh' });
  for (const [i, settings] of spec.serviceSettings.entries())
    for (const [j, host] of settings.hosts.entries()) findings.check(`spec.serviceSettings[${i}].hosts[${j}]`, wildcardDomainReason(host));
  findings.check('spec.trustDomain', trustDomainReason(spec.trustDomain));
  for (const [i, alias] of spec.trustDomainAliases.entries()) findings.check(item('spec.trustDomainAliases', i), trustDomainReason(alias));
  if (!isDnsLabel(spec.rootNamespace)) findings.error('spec.rootNamespace', `"${spec.rootNamespace}" is not a namespace`);
  checkProviders(spec, findings);
  for (const field of ['defaultHttpRetryPolicy', 'defaultInboundHttpRetryPolicy'] as const) checkRetries(spec[field], `spec.${field}`, findings);
  checkConnectionPool(spec.defaultTrafficPolicy?.connectionPool, 'spec.defaultTrafficPolicy.connectionPool', findings);
  checkOutlierDetection(spec.defaultTrafficPolicy?.outlierDetection, 'spec.defaultTrafficPolicy.outlierDetection', findings);
  checkClientTls(spec.outboundTrafficPolicy.tls, 'spec.outboundTrafficPolicy.tls', { findings, namespace: '' });
}

function checkPorts(spec: MeshConfigSpec, findings: Findings): void {
  for (const field of ['proxyListenPort', 'proxyInboundListenPort'] as const) findings.check(`spec.${field}`, portReason(spec[field]));
  if (spec.proxyHttpPort !== 0) findings.check('spec.proxyHttpPort', portReason(spec.proxyHttpPort));
  for (const field of ['proxyAdminPort', 'statusPort'] as const) findings.check(`spec.defaultConfig.${field}`, portReason(spec.defaultConfig[field]));
  findings.check('spec.defaultConfig.drainDuration', durationReason(spec.defaultConfig.drainDuration));
}

function checkProviders(spec: MeshConfigSpec, findings: Findings): void {
  const names = spec.extensionProviders.map((provider) => provider.name);
  for (const [i, name] of names.entries()) if (names.indexOf(name) < i) findings.error(`spec.extensionProviders[${i}].name`, `"${name}" names an earlier provider already`);
  for (const [i, provider] of spec.extensionProviders.entries())
    for (const form of ['envoyExtAuthzHttp', 'envoyExtAuthzGrpc'] as const) {
      const service = provider[form];
      if (service) checkExtAuthz(service, `spec.extensionProviders[${i}].${form}`, findings);
    }
  for (const use of ['tracing', 'metrics', 'accessLogging'] as const)
    for (const [i, name] of spec.defaultProviders[use].entries())
      if (!names.includes(name) && !builtIn.includes(name)) findings.warn(`spec.defaultProviders.${use}[${i}]`, `"${name}" is not among extensionProviders`);
}

// Istio's default mesh config defines these.
const builtIn = ['prometheus', 'stackdriver', 'envoy'];

function trustDomainReason(domain: string): string | undefined {
  const labels = domain.split('.');
  if (labels.length > 1 && labels.at(-1) === '') labels.pop();
  return labels.every(isDnsLabel) ? undefined : `"${domain}" is not a trust domain, like cluster.local`;
}
