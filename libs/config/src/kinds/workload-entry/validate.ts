import type { ObjectMeta } from '../../object.ts';
import { isIpAddress, portReason, unixPathReason, unixPrefix } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { fqdnReason, isDnsLabel } from '../../rules/hosts.ts';
import { checkLabels } from '../../rules/labels.ts';
import { child } from '../../schema/schema.ts';
import type { WorkloadEntrySpec } from './types.ts';

export function validate(spec: WorkloadEntrySpec, _about: ObjectMeta, findings: Findings): void {
  checkWorkload(spec, { path: 'spec', findings, allowNames: true });
}

export interface WorkloadCheck {
  readonly path: string;
  readonly findings: Findings;
  /** DNS names as address. */
  readonly allowNames: boolean;
  /** Of the ServiceEntry this is an endpoint of. */
  readonly servicePorts?: ReadonlySet<string>;
}

/** A WorkloadEntry, or an endpoint of a ServiceEntry. */
export function checkWorkload(spec: WorkloadEntrySpec, check: WorkloadCheck): void {
  const { path, findings, servicePorts } = check;
  checkAddress(spec, check);
  for (const [name, port] of Object.entries(spec.ports)) {
    const at = child(`${path}.ports`, name);
    if (servicePorts && !servicePorts.has(name)) findings.error(at, `"${name}" is not the name of a port of this ServiceEntry`);
    if (!isDnsLabel(name)) findings.error(at, `"${name}" is not a port name: 1–63 letters, digits or "-"`);
    findings.check(at, portReason(port));
  }
  checkLabels(spec.labels, `${path}.labels`, findings);
}

function checkAddress(spec: WorkloadEntrySpec, { path, findings, allowNames, servicePorts }: WorkloadCheck): void {
  const { address, network } = spec;
  const at = `${path}.address`;
  if (address === '') {
    if (network === '') findings.error(at, 'is required');
    else findings.warn(at, `is not set, so it is reached through the gateways of network "${network}"`);
  } else if (address.startsWith(unixPrefix)) {
    findings.check(at, unixPathReason(address.slice(unixPrefix.length)));
    if (Object.keys(spec.ports).length > 0) findings.error(`${path}.ports`, 'must be empty while address is a Unix domain socket');
    if (servicePorts && servicePorts.size !== 1) findings.error(at, 'a Unix domain socket needs exactly one port in the ServiceEntry');
  } else if (!isIpAddress(address)) {
    if (!allowNames) findings.error(at, `"${address}" is not an IP address (names need resolution DNS)`);
    else if (fqdnReason(address) !== undefined) findings.error(at, `"${address}" is neither a host name nor an IP address`);
  }
}
