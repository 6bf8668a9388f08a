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
import type { HttpRetry } from '../virtual-service/types.ts';
import { serviceReason } from './ext-authz-provider.ts';
import type { ExtensionProvider } from './extension-provider.ts';
import type { MeshConfigSpec } from './types.ts';
import { checkProxyConfig } from './validate-proxy.ts';

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
  checkRetries(spec.defaultHttpRetryPolicy, 'spec.defaultHttpRetryPolicy', findings);
  checkInboundRetries(spec.defaultInboundHttpRetryPolicy, 'spec.defaultInboundHttpRetryPolicy', findings);
  checkTlsDefaults(spec, findings);
  checkProxyConfig(spec.defaultConfig, 'spec.defaultConfig', findings);
  checkConnectionPool(spec.defaultTrafficPolicy?.connectionPool, 'spec.defaultTrafficPolicy.connectionPool', findings);
  checkOutlierDetection(spec.defaultTrafficPolicy?.outlierDetection, 'spec.defaultTrafficPolicy.outlierDetection', findings);
  checkClientTls(spec.outboundTrafficPolicy.tls, 'spec.outboundTrafficPolicy.tls', { findings, namespace: '' });
}

// Like Istio: the mesh goes on without a provider that cannot work; only what names it is affected.
function warnProvider(provider: ExtensionProvider, path: string, findings: Findings): void {
  for (const form of ['envoyHttpAls', 'envoyTcpAls', 'envoyOtelAls', 'zipkin', 'opentelemetry', 'datadog', 'skywalking', 'lightstep', 'opencensus'] as const) {
    const service = provider[form]?.service;
    const reason = service === undefined ? undefined : serviceReason(service);
    if (reason !== undefined) findings.warn(`${path}.${form}.service`, `${reason}: the provider cannot be used`);
  }
  if (provider.lightstep?.accessToken === '') findings.warn(`${path}.lightstep.accessToken`, 'is required: the provider cannot be used');
  if (provider.opentelemetry?.http && provider.opentelemetry.grpc) findings.warn(`${path}.opentelemetry.grpc`, 'has no effect beside http');
}

/** Only attempts, retryOn and backoff mean something where there is one application to call. */
function checkInboundRetries(retries: HttpRetry | undefined, path: string, findings: Findings): void {
  if (!retries) return;
  checkRetries(retries, path, findings);
  if (retries.attempts === 0 && retries.backoff !== undefined) findings.error(`${path}.backoff`, 'cannot be set while attempts is 0');
  for (const field of ['perTryTimeout', 'retryRemoteLocalities', 'retryIgnorePreviousHosts'] as const)
    if (retries[field] !== undefined) findings.warn(`${path}.${field}`, 'has no effect for requests that arrive');
}

const curves = ['P-224', 'P-256', 'P-384', 'P-521', 'X25519', 'X25519Kyber768Draft00', 'X25519MLKEM768'];

function checkTlsDefaults(spec: MeshConfigSpec, findings: Findings): void {
  if ((spec.meshMTLS?.ecdhCurves.length ?? 0) > 0) findings.error('spec.meshMTLS.ecdhCurves', 'cannot be set for traffic inside the mesh: use tlsDefaults');
  const seen = new Set<string>();
  for (const [i, curve] of (spec.tlsDefaults?.ecdhCurves ?? []).entries()) {
    const at = item('spec.tlsDefaults.ecdhCurves', i);
    if (!curves.includes(curve)) findings.warn(at, `"${curve}" is not a curve; known are ${curves.join(', ')}`);
    else if (seen.has(curve)) findings.warn(at, `"${curve}" is listed already`);
    seen.add(curve);
  }
}

function checkPorts(spec: MeshConfigSpec, findings: Findings): void {
  for (const field of ['proxyListenPort', 'proxyInboundListenPort'] as const) findings.check(`spec.${field}`, portReason(spec[field]));
  if (spec.proxyHttpPort !== 0) findings.check('spec.proxyHttpPort', portReason(spec.proxyHttpPort));
}

function checkProviders(spec: MeshConfigSpec, findings: Findings): void {
  const names = spec.extensionProviders.map((provider) => provider.name);
  for (const [i, name] of names.entries()) if (names.indexOf(name) < i) findings.warn(`spec.extensionProviders[${i}].name`, `"${name}" names an earlier provider already, so this one is never used`);
  for (const [i, provider] of spec.extensionProviders.entries()) warnProvider(provider, `spec.extensionProviders[${i}]`, findings);
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
