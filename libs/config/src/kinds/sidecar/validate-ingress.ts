import { portReason, unixPathReason, unixPrefix } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { isHttpProtocol, isTlsProtocol } from '../../rules/protocols.ts';
import { item } from '../../schema/schema.ts';
import { checkConnectionPool } from '../destination-rule/validate-connections.ts';
import type { ServerTlsSettings } from '../gateway/types.ts';
import { checkServerTls } from '../gateway/validate-tls.ts';
import type { IstioIngressListener } from './types.ts';
import { checkListener } from './validate-listener.ts';

const localHosts = ['', '127.0.0.1', '0.0.0.0', '[::1]', '[::]'];

export function checkIngress(listeners: readonly IstioIngressListener[], findings: Findings): void {
  const numbers = new Set<number>();
  for (const [i, listener] of listeners.entries()) {
    const path = item('spec.ingress', i);
    checkListener(listener, { path, findings, unixAllowed: false });
    if (numbers.has(listener.port.number)) findings.error(`${path}.port.number`, `${listener.port.number} has a listener already`);
    numbers.add(listener.port.number);
    findings.check(`${path}.defaultEndpoint`, endpointReason(listener.defaultEndpoint));
    if (listener.tls) checkTls(listener, listener.tls, { path: `${path}.tls`, findings });
    checkConnectionPool(listener.connectionPool, `${path}.connectionPool`, findings);
    if (listener.connectionPool?.http && !isHttpProtocol(listener.port.protocol))
      findings.warn(`${path}.connectionPool.http`, `has no effect: the protocol of port ${listener.port.number} is not HTTP`);
  }
}

function endpointReason(endpoint: string): string | undefined {
  if (endpoint === '') return undefined;
  if (endpoint.startsWith(unixPrefix)) return unixPathReason(endpoint.slice(unixPrefix.length));
  const colon = endpoint.lastIndexOf(':');
  const port = endpoint.slice(colon + 1);
  if (colon < 0 || !localHosts.includes(endpoint.slice(0, colon)) || !/^\d{1,5}$/.test(port))
    return `"${endpoint}" must be 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///path`;
  return portReason(Number(port));
}

function checkTls(listener: IstioIngressListener, tls: ServerTlsSettings, { path, findings }: { path: string; findings: Findings }): void {
  for (const field of ['subjectAltNames', 'credentialName', 'credentialNames', 'tlsCertificates'] as const)
    if (tls[field].length > 0) findings.error(`${path}.${field}`, 'is not supported on a Sidecar');
  if (tls.httpsRedirect) findings.error(`${path}.httpsRedirect`, 'is not supported on a Sidecar');
  if (tls.mode === 'ISTIO_MUTUAL' || tls.mode === 'AUTO_PASSTHROUGH') findings.error(`${path}.mode`, `${tls.mode} is not supported on a Sidecar`);
  if (!isTlsProtocol(listener.port.protocol)) findings.error(path, 'needs port.protocol HTTPS or TLS');
  checkServerTls(tls, path, findings);
}
