import { map, object, stringMap } from '../../schema/containers.ts';
import { isDnsLabel } from '../../rules/hosts.ts';
import { int, string } from '../../schema/scalars.ts';
import { withCel } from '../../schema/schema.ts';
import { portRange } from '../schema.ts';
import type { WorkloadEntrySpec } from './types.ts';

const address = withCel(
  string({ maxLength: 256 }),
  { rule: "!self.startsWith('unix://') || self.startsWith('unix:///') || self.startsWith('unix://@')", message: 'a socket needs an absolute path or an abstract name' },
  { rule: "!self.startsWith('unix://') || !self.endsWith('/')", message: 'a socket is not a directory' },
);

const ports = withCel(map(withCel(int('uint32'), portRange), { maxKeys: 128, key: portNameReason }), {
  rule: "self.all(name, name.size() < 63 && name.matches('^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$'))",
  message: 'a port name has at most 62 letters, digits or "-"',
});

function portNameReason(name: string): string | undefined {
  return name.length < 63 && isDnsLabel(name) ? undefined : `"${name}" is not a port name: 1–62 letters, digits or "-"`;
}

/** Also the template of a WorkloadGroup, which needs no address. */
export const workload = withCel(object<WorkloadEntrySpec>({
  address,
  ports,
  labels: stringMap({ maxKeys: 256 }),
  network: string({ maxLength: 2048 }),
  locality: string({ maxLength: 2048 }),
  weight: int('uint32'),
  serviceAccount: string({ maxLength: 253 }),
}), { rule: "!(has(self.address) && self.address.startsWith('unix://')) || !has(self.ports)", message: 'a socket has no ports' });

export const schema = withCel(workload, { rule: 'has(self.address) || has(self.network)', message: 'an address is required' });
