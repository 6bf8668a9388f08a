import { portReason } from '../rules/addresses.ts';
import type { Findings } from '../rules/findings.ts';
import type { ReadinessProbe } from './readiness-probe.ts';

/** Also for ProxyConfig.readinessProbe. */
export function checkProbe(probe: ReadinessProbe | undefined, path: string, findings: Findings): void {
  if (!probe) return;
  const { httpGet, tcpSocket, exec, grpc } = probe;
  if (httpGet) {
    findings.check(`${path}.httpGet.port`, portReason(httpGet.port));
    if (!['', 'HTTP', 'HTTPS'].includes(httpGet.scheme)) findings.error(`${path}.httpGet.scheme`, `must be HTTP or HTTPS, found "${httpGet.scheme}"`);
    for (const [i, { name }] of httpGet.httpHeaders.entries())
      if (!/^[-A-Za-z0-9]+$/.test(name)) findings.error(`${path}.httpGet.httpHeaders[${i}].name`, `"${name}" is not a header name`);
  }
  if (tcpSocket) findings.check(`${path}.tcpSocket.port`, portReason(tcpSocket.port));
  if (exec?.command.length === 0) findings.error(`${path}.exec.command`, 'needs a program');
  // Deviation: Istio's schema and agent know gRPC probes, its webhook does not.
  if (grpc) findings.check(`${path}.grpc.port`, portReason(grpc.port));
  if (!httpGet && !tcpSocket && !exec && !grpc) findings.error(path, 'needs one of httpGet, tcpSocket, exec or grpc');
}
