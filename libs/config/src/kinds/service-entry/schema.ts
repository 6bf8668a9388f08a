import { list, object, strings } from '../../schema/containers.ts';
import { int, oneOf, string } from '../../schema/scalars.ts';
import { optional, required, withCel } from '../../schema/schema.ts';
import { portRange, workloadSelector } from '../schema.ts';
import { schema as workloadEntry } from '../workload-entry/schema.ts';
import type { ServiceEntryPort, ServiceEntrySpec } from './types.ts';

const port = object<ServiceEntryPort>({
  number: required(withCel(int('uint32'), portRange)),
  protocol: string({ maxLength: 256 }),
  name: required(string({ maxLength: 256 })),
  targetPort: withCel(int('uint32'), portRange),
});

const spec = object<ServiceEntrySpec>(
  {
    hosts: required(list(withCel(string(), { rule: "self != '*'", message: 'name the hosts' }), { minItems: 1, maxItems: 256 })),
    addresses: list(string({ maxLength: 64 }), { maxItems: 256 }),
    ports: withCel(list(port, { maxItems: 256, uniqueBy: 'name' }), { rule: 'self.all(one, self.exists_one(other, one.number == other.number))', message: 'a port number is listed twice' }),
    location: oneOf(['MESH_EXTERNAL', 'MESH_INTERNAL']),
    resolution: oneOf(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']),
    endpoints: list(workloadEntry, { maxItems: 4096 }),
    workloadSelector: optional(workloadSelector),
    exportTo: strings(),
    subjectAltNames: strings(),
  },
  { oneofs: [{ keys: ['workloadSelector', 'endpoints'] }] },
);

export const schema = withCel(
  spec,
  { rule: "!has(self.addresses) || !self.addresses.exists(one, one.contains('/')) || !has(self.resolution) || self.resolution in ['NONE', 'STATIC']", message: 'a CIDR block needs resolution NONE or STATIC' },
  { rule: "(has(self.resolution) && self.resolution != 'NONE') || !has(self.endpoints)", message: 'resolution NONE has no endpoints' },
  { rule: "!has(self.resolution) || self.resolution != 'DNS_ROUND_ROBIN' || !has(self.endpoints) || self.endpoints.size() <= 1", message: 'resolution DNS_ROUND_ROBIN has at most one endpoint' },
);
