import { list, object, strings } from '../../schema/containers.ts';
import { int, oneOf, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { workloadSelector } from '../schema.ts';
import { schema as workloadEntry } from '../workload-entry/schema.ts';
import type { ServiceEntryPort, ServiceEntrySpec } from './types.ts';

const port = object<ServiceEntryPort>({
  number: required(int('uint32')),
  protocol: string({ maxLength: 256 }),
  name: required(string({ maxLength: 256 })),
  targetPort: int('uint32'),
});

export const schema = object<ServiceEntrySpec>(
  {
    hosts: required(strings({ minItems: 1, maxItems: 256 })),
    addresses: strings({ maxItems: 256 }),
    ports: list(port, { maxItems: 256 }),
    location: oneOf(['MESH_EXTERNAL', 'MESH_INTERNAL']),
    resolution: oneOf(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']),
    endpoints: list(workloadEntry, { maxItems: 4096 }),
    workloadSelector: optional(workloadSelector),
    exportTo: strings(),
    subjectAltNames: strings(),
  },
  { oneofs: [{ keys: ['workloadSelector', 'endpoints'] }] },
);
