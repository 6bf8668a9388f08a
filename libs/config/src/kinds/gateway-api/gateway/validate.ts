import type { ObjectMeta } from '../../../object.ts';
import { ipReason } from '../../../rules/addresses.ts';
import type { Findings } from '../../../rules/findings.ts';
import { item } from '../../../schema/schema.ts';
import { patternReason } from '../patterns.ts';
import { checkReference } from '../validate-references.ts';
import type { GatewayListenerSpec, KubeGatewaySpec, ListenerTls } from './types.ts';

/** Source: the CRD's CEL rules (kubernetes-sigs/gateway-api, config/crd). */
export function validate(spec: KubeGatewaySpec, _about: ObjectMeta, findings: Findings): void {
  checkListeners(spec.listeners, findings);
  const addresses = new Set<string>();
  for (const [i, { type, value }] of spec.addresses.entries()) {
    const at = `${item('spec.addresses', i)}.value`;
    if (type === 'IPAddress' && value !== '') findings.check(at, ipReason(value));
    if (type === 'Hostname' && value !== '') findings.check(at, patternReason(value, 'hostname'));
    if (addresses.has(`${type} ${value}`)) findings.error(at, `"${value}" is listed already`);
    addresses.add(`${type} ${value}`);
  }
  const ports = spec.tls?.frontend?.perPort.map(({ port }) => port) ?? [];
  for (const [i, port] of ports.entries()) if (ports.indexOf(port) !== i) findings.error(`${item('spec.tls.frontend.perPort', i)}.port`, `${port} is listed already`);
}

/** Listeners of a Gateway or ListenerSet. */
export function checkListeners(listeners: readonly GatewayListenerSpec[], findings: Findings): void {
  const names = new Set<string>();
  const places = new Set<string>();
  for (const [i, listener] of listeners.entries()) {
    const at = item('spec.listeners', i);
    checkListener(listener, at, findings);
    if (names.has(listener.name)) findings.error(`${at}.name`, `"${listener.name}" names an earlier listener already`);
    names.add(listener.name);
    const place = `${listener.port} ${listener.protocol} ${listener.hostname ?? ''}`;
    if (places.has(place)) findings.error(at, 'an earlier listener has the same port, protocol and hostname');
    places.add(place);
  }
}

function checkListener(listener: GatewayListenerSpec, at: string, findings: Findings): void {
  const { name, hostname, protocol, tls, allowedRoutes } = listener;
  findings.check(`${at}.name`, patternReason(name, 'subdomain'));
  if (hostname !== undefined && hostname !== '') {
    findings.check(`${at}.hostname`, patternReason(hostname, 'hostname'));
    if (['TCP', 'UDP'].includes(protocol)) findings.error(`${at}.hostname`, `cannot be set for protocol ${protocol}`);
  }
  if (tls) {
    if (['HTTP', 'TCP', 'UDP'].includes(protocol)) findings.error(`${at}.tls`, `cannot be set for protocol ${protocol}`);
    if (protocol === 'HTTPS' && tls.mode !== 'Terminate') findings.error(`${at}.tls.mode`, 'must be Terminate for protocol HTTPS');
    checkTls(tls, `${at}.tls`, findings);
  } else if (protocol === 'HTTPS' || protocol === 'TLS') findings.warn(`${at}.tls`, `without it a listener of protocol ${protocol} serves nothing`);
  for (const [i, kind] of (allowedRoutes?.kinds ?? []).entries()) checkReference(kind, item(`${at}.allowedRoutes.kinds`, i), findings);
  if (allowedRoutes?.namespaces?.from === 'Selector' && !allowedRoutes.namespaces.selector) findings.error(`${at}.allowedRoutes.namespaces.selector`, 'is required while from is Selector');
  if (allowedRoutes?.namespaces?.from === 'None') findings.error(`${at}.allowedRoutes.namespaces.from`, 'must be one of Same, All, Selector');
}

function checkTls(tls: ListenerTls, at: string, findings: Findings): void {
  if (tls.mode === 'Terminate' && tls.certificateRefs.length === 0 && Object.keys(tls.options).length === 0) findings.error(at, 'one of certificateRefs, options must be set for mode Terminate');
  for (const [i, reference] of tls.certificateRefs.entries()) checkReference(reference, item(`${at}.certificateRefs`, i), findings);
}
