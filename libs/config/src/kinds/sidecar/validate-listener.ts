import { ipReason, portReason, unixPathReason, unixPrefix } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { isDnsLabel } from '../../rules/hosts.ts';
import { optionalProtocolReason } from '../../rules/protocols.ts';
import type { Port } from '../gateway/types.ts';

/** Port and bind of a listener; `unixAllowed` for egress, where number 0 asks for a socket. */
export function checkListener({ port, bind }: { port: Port; bind: string }, { path, findings, unixAllowed }: { path: string; findings: Findings; unixAllowed: boolean }): void {
  if (port.targetPort !== 0) findings.error(`${path}.port.targetPort`, 'has no effect on a Sidecar: remove it');
  if (port.name !== '' && !isDnsLabel(port.name)) findings.error(`${path}.port.name`, `"${port.name}" is not a port name: 1–63 letters, digits or "-"`);
  findings.check(`${path}.port.protocol`, optionalProtocolReason(port.protocol));
  if (unixAllowed && port.number === 0) {
    const socket = bind.startsWith(unixPrefix) ? unixPathReason(bind.slice(unixPrefix.length)) : 'must be unix:///path while port.number is 0';
    findings.check(`${path}.bind`, socket);
    return;
  }
  findings.check(`${path}.port.number`, portReason(port.number));
  if (bind !== '') findings.check(`${path}.bind`, ipReason(bind));
}
