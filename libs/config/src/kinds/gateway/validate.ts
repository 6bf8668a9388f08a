import type { ObjectMeta } from '../../object.ts';
import { ipReason, portReason, unixPathReason, unixPrefix } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { isDnsLabel, scopedHostReason } from '../../rules/hosts.ts';
import { isHttpProtocol, isTlsProtocol, protocolReason } from '../../rules/protocols.ts';
import { item } from '../../schema/schema.ts';
import type { GatewaySpec, Server } from './types.ts';
import { checkServerTls } from './validate-tls.ts';

/** Source: istio.io/istio pkg/config/validation (webhook), read for its rules; the messages are ours. */
export function validate(spec: GatewaySpec, about: ObjectMeta, findings: Findings): void {
  if (!isDnsLabel(about.name)) findings.error('metadata.name', `"${about.name}" must be 1–63 letters, digits or "-", because VirtualServices refer to it`);
  if (spec.servers.length === 0) findings.error('spec.servers', 'needs at least one server');
  const portNames = new Set<string>();
  for (const [i, server] of spec.servers.entries()) {
    const path = item('spec.servers', i);
    checkServer(server, path, findings);
    if (portNames.has(server.port.name)) findings.error(`${path}.port.name`, `"${server.port.name}" names an earlier port already`);
    portNames.add(server.port.name);
  }
}

function checkServer(server: Server, path: string, findings: Findings): void {
  if (server.hosts.length === 0) findings.error(`${path}.hosts`, 'needs at least one host ("*" is every host)');
  for (const [i, host] of server.hosts.entries()) findings.check(item(`${path}.hosts`, i), scopedHostReason(host, 'gateway'));
  checkPort(server, path, findings);
  checkServerTls(server.tls, `${path}.tls`, findings);
  if (protocolReason(server.port.protocol) === undefined) checkTlsFitsProtocol(server, path, findings);
}

function checkPort({ port, bind }: Server, path: string, findings: Findings): void {
  findings.check(`${path}.port.protocol`, protocolReason(port.protocol));
  if (port.targetPort !== 0) findings.error(`${path}.port.targetPort`, 'has no effect on a Gateway: remove it');
  if (port.name === '') findings.error(`${path}.port.name`, 'must not be empty');
  const unix = bind.startsWith(unixPrefix);
  if (unix) {
    findings.check(`${path}.bind`, unixPathReason(bind.slice(unixPrefix.length)));
    if (port.number !== 0) findings.error(`${path}.port.number`, 'must be 0 while bind is a Unix domain socket');
    return;
  }
  findings.check(`${path}.port.number`, portReason(port.number));
  if (bind !== '') findings.check(`${path}.bind`, ipReason(bind));
}

function checkTlsFitsProtocol({ port, tls }: Server, path: string, findings: Findings): void {
  const http = isHttpProtocol(port.protocol);
  if (isTlsProtocol(port.protocol)) {
    if (!tls) findings.error(`${path}.tls`, `is required for protocol ${port.protocol}`);
  } else if (tls && !http) {
    findings.error(`${path}.tls`, `cannot be set for protocol ${port.protocol}: only HTTPS and TLS ports have it`);
  } else if (tls && (!isPassthrough(tls.mode) || tls.caCertificates !== '' || tls.privateKey !== '' || tls.serverCertificate !== '')) {
    findings.error(`${path}.tls`, `a plain ${port.protocol} port may only have httpsRedirect: use protocol HTTPS`);
  }
  if (!http && tls?.httpsRedirect === true) findings.warn(`${path}.tls.httpsRedirect`, 'redirects only on a plain HTTP port');
}

function isPassthrough(mode: string): boolean {
  return mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH';
}
