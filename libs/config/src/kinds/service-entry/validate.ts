import type { ObjectMeta } from '../../object.ts';
import { portReason, subnetReason } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { isDnsLabel, partialWildcardReason, wildcardDomainReason } from '../../rules/hosts.ts';
import { checkSelector } from '../../rules/labels.ts';
import { isHttpProtocol, isTlsProtocol, optionalProtocolReason } from '../../rules/protocols.ts';
import { checkExportTo } from '../../rules/visibility.ts';
import { item } from '../../schema/schema.ts';
import type { ServiceEntrySpec } from './types.ts';
import { checkResolution } from './validate-resolution.ts';

/** Source: istio.io/istio pkg/config/validation (webhook), read for its rules; the messages are ours. */
export function validate(spec: ServiceEntrySpec, about: ObjectMeta, findings: Findings): void {
  checkSelector(spec.workloadSelector?.labels, 'spec.workloadSelector.labels', findings);
  checkHosts(spec, findings);
  checkAddresses(spec, findings);
  checkPorts(spec, { findings, allocated: getsAddress(spec, about) });
  checkResolution(spec, about, findings);
  checkExportTo(spec.exportTo, findings, { namespace: about.namespace, allowNone: true });
}

function checkHosts(spec: ServiceEntrySpec, findings: Findings): void {
  for (const [i, host] of spec.hosts.entries()) {
    const at = item('spec.hosts', i);
    findings.check(at, host === '*' ? '"*" is not allowed: name the hosts' : wildcardDomainReason(host));
    const partial = spec.resolution === 'DYNAMIC_DNS' ? undefined : partialWildcardReason(host);
    if (partial !== undefined) findings.warn(at, partial);
  }
}

function checkAddresses(spec: ServiceEntrySpec, findings: Findings): void {
  const cidrAllowed = spec.resolution === 'NONE' || spec.resolution === 'STATIC';
  for (const [i, address] of spec.addresses.entries()) {
    const at = item('spec.addresses', i);
    findings.check(at, subnetReason(address));
    if (address.includes('/') && !cidrAllowed) findings.error(at, `a CIDR block needs resolution NONE or STATIC, found ${spec.resolution}`);
  }
}

/** Whether the mesh gives it an address of its own (spec.addresses empty). */
function getsAddress(spec: ServiceEntrySpec, about: ObjectMeta): boolean {
  return spec.resolution !== 'NONE' && about.labels['networking.istio.io/enable-autoallocate-ip']?.toLowerCase() !== 'false';
}

function checkPorts(spec: ServiceEntrySpec, { findings, allocated }: { findings: Findings; allocated: boolean }): void {
  const numbers = new Set<number>();
  for (const [i, port] of spec.ports.entries()) {
    const at = item('spec.ports', i);
    if (numbers.has(port.number)) findings.error(`${at}.number`, `${port.number} is listed already`);
    numbers.add(port.number);
    if (!isDnsLabel(port.name)) findings.error(`${at}.name`, `"${port.name}" is not a port name: 1–63 letters, digits or "-"`);
    if (spec.addresses.length === 0 && !allocated && (port.protocol === '' || port.protocol === 'TCP'))
      findings.warn(`${at}.protocol`, 'a TCP port needs spec.addresses: without them (and without an address given automatically) its traffic cannot be told from that of other hosts');
    findings.check(`${at}.protocol`, optionalProtocolReason(port.protocol));
    findings.check(`${at}.number`, portReason(port.number));
    if (port.targetPort !== 0) findings.check(`${at}.targetPort`, portReason(port.targetPort));
  }
  // Without a name in the bytes (authority, SNI) nothing tells two hosts on one port apart; NONE ignores the hosts.
  const opaque = spec.ports.findIndex((port) => !isHttpProtocol(port.protocol) && !isTlsProtocol(port.protocol));
  if (spec.resolution !== 'NONE' && spec.hosts.length > 1 && opaque >= 0)
    findings.error(`${item('spec.ports', opaque)}.protocol`, 'several hosts can share only HTTP and TLS ports: split them into one ServiceEntry each');
}
