import { isIpAddress, portReason } from '../../rules/addresses.ts';
import { durationReason } from '../../rules/durations.ts';
import type { Findings } from '../../rules/findings.ts';
import { fqdnReason } from '../../rules/hosts.ts';
import { checkClientTls } from '../destination-rule/validate-tls.ts';
import { checkProbe } from '../validate-probe.ts';
import type { ProxyTracing } from './proxy-tracing.ts';
import type { ProxyConfig } from './types.ts';

/** MeshConfig.defaultConfig. Source: istio.io/istio pkg/config/validation/agent, read for its rules. */
export function checkProxyConfig(config: ProxyConfig, path: string, findings: Findings): void {
  for (const field of ['configPath', 'binaryPath'] as const) if (config[field] === '') findings.error(`${path}.${field}`, 'must not be empty');
  if (config.serviceCluster === '') findings.error(`${path}.serviceCluster`, 'must not be empty');
  for (const field of ['proxyAdminPort', 'statusPort'] as const) findings.check(`${path}.${field}`, portReason(config[field]));
  findings.check(`${path}.drainDuration`, durationReason(config.drainDuration) ?? (config.drainDuration % 1000 === 0 ? undefined : 'must be in whole seconds'));
  if (config.controlPlaneAuthPolicy === 'INHERIT') findings.error(`${path}.controlPlaneAuthPolicy`, 'must be NONE or MUTUAL_TLS');
  for (const field of ['discoveryAddress', 'statsdUdpAddress', 'envoyMetricsServiceAddress'] as const) checkAddress(config[field], `${path}.${field}`, findings);
  for (const field of ['envoyAccessLogService', 'envoyMetricsService'] as const) checkAddress(config[field]?.address ?? '', `${path}.${field}.address`, findings);
  if (config.tracing) checkTracing(config.tracing, `${path}.tracing`, findings);
  for (const accelerator of ['cryptomb', 'qat'] as const)
    if (config.privateKeyProvider?.[accelerator]?.pollDelay === 0) findings.error(`${path}.privateKeyProvider.${accelerator}.pollDelay`, 'must not be 0');
  checkProbe(config.readinessProbe, `${path}.readinessProbe`, findings);
  if (config.proxyMetadata['ISTIO_META_DNS_AUTO_ALLOCATE'] !== undefined)
    findings.warn(`${path}.proxyMetadata.ISTIO_META_DNS_AUTO_ALLOCATE`, 'is deprecated: ServiceEntries without addresses get one anyway');
}

function checkTracing(tracing: ProxyTracing, path: string, findings: Findings): void {
  for (const tracer of ['zipkin', 'datadog', 'lightstep'] as const) {
    const address = tracing[tracer]?.address.replace('$(HOST_IP)', '127.0.0.1');
    if (address === '') findings.error(`${path}.${tracer}.address`, 'is required');
    else checkAddress(address ?? '', `${path}.${tracer}.address`, findings);
  }
  if (tracing.lightstep?.accessToken === '') findings.error(`${path}.lightstep.accessToken`, 'is required');
  checkClientTls(tracing.tlsSettings, `${path}.tlsSettings`, { findings, namespace: '' });
}

function checkAddress(address: string, path: string, findings: Findings): void {
  if (address !== '') findings.check(path, addressReason(address));
}

/** "host:port" or "[IPv6]:port". */
function addressReason(address: string): string | undefined {
  const [, bracketed, host = bracketed, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(address) ?? [];
  if (host === undefined || port === undefined) return `"${address}" must be of the form host:port`;
  return portReason(Number(port)) ?? (isIpAddress(host) ? undefined : fqdnReason(host));
}
