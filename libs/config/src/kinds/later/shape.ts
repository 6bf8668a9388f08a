import { object, type ObjectOptions } from '../../schema/containers.ts';
import { int, string } from '../../schema/scalars.ts';
import { required, type Schema } from '../../schema/schema.ts';
import type { Struct } from '../types.ts';

/** A message whose fields are checked but which nobody reads yet, so it has no type of its own. */
export function shape(fields: Readonly<Record<string, Schema<unknown>>>, options: ObjectOptions = {}): Schema<Struct> {
  return object<Struct>(fields, options);
}

/** What a policy attaches to besides workloads. */
export const targetRef = shape({
  group: string({ maxLength: 253 }),
  kind: required(string({ minLength: 1, maxLength: 63 })),
  name: required(string({ minLength: 1, maxLength: 253 })),
  namespace: string({ maxLength: 0 }),
});

/** type/v1beta1 PortSelector. */
export const portNumber = shape({ number: required(int('uint32', { min: 1, max: 65535 })) });
