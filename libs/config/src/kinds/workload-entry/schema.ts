import { map, object, stringMap } from '../../schema/containers.ts';
import { int, string } from '../../schema/scalars.ts';
import type { WorkloadEntrySpec } from './types.ts';

export const schema = object<WorkloadEntrySpec>({
  address: string({ maxLength: 256 }),
  ports: map(int('uint32'), { maxKeys: 128 }),
  labels: stringMap({ maxKeys: 256 }),
  network: string({ maxLength: 2048 }),
  locality: string({ maxLength: 2048 }),
  weight: int('uint32'),
  serviceAccount: string({ maxLength: 253 }),
});
