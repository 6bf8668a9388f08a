import type { Schema } from '../schema/schema.ts';
import type { CelRule, OneOfGroup, SchemaType } from '../schema/type.ts';

/** JSON Schema as Kubernetes allows it in a CustomResourceDefinition (structural: every field has one type). */
export type OpenApiSchema = Readonly<Record<string, unknown>>;

/** The structural schema of what a schema reads. Unknown fields are pruned by Kubernetes, so nothing is said about them. */
export function openApiSchema(schema: Schema<unknown>): OpenApiSchema {
  const type = ofType(schema.type);
  const rules = [...(Array.isArray(type['x-kubernetes-validations']) ? (type['x-kubernetes-validations'] as readonly CelRule[]) : []), ...(schema.cel ?? [])];
  return rules.length === 0 ? type : { ...type, 'x-kubernetes-validations': rules.map((one) => ({ ...one })) };
}

function ofType(type: SchemaType): OpenApiSchema {
  switch (type.is) {
    case 'string':
      return { type: 'string', ...defined({ minLength: type.minLength, maxLength: type.maxLength }), ...(type.pattern !== undefined && { pattern: type.pattern }) };
    case 'bool':
      return { type: 'boolean' };
    case 'bytes':
      return { type: 'string', format: 'byte' };
    case 'intOrString':
      return { 'x-kubernetes-int-or-string': true };
    case 'struct':
      return { 'type': 'object', 'x-kubernetes-preserve-unknown-fields': true };
    case 'anything':
      return { 'x-kubernetes-preserve-unknown-fields': true };
    case 'duration':
      return { type: 'string', ...(type.minMs !== undefined && { 'x-kubernetes-validations': [{ rule: `duration(self) >= duration('${type.minMs}ms')`, message: `must be a duration of at least ${type.minMs}ms` }] }) };
    case 'int':
      return { type: 'integer', format: type.format === 'int32' ? 'int32' : 'int64', ...bounds(type) };
    case 'double':
      return { type: 'number', format: 'double', ...defined({ minimum: type.min, maximum: type.max }) };
    case 'enum':
      return { type: 'string', enum: [...type.names] };
    case 'list':
      return { type: 'array', items: openApiSchema(type.item), ...defined({ minItems: type.minItems, maxItems: type.maxItems }), ...(type.uniqueBy !== undefined && { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [type.uniqueBy] }) };
    case 'map':
      return { type: 'object', additionalProperties: openApiSchema(type.value), ...defined({ minProperties: type.minKeys, maxProperties: type.maxKeys }) };
    case 'message':
      return message(type);
  }
}

function message(type: SchemaType & { readonly is: 'message' }): OpenApiSchema {
  const properties: Record<string, OpenApiSchema> = {};
  for (const name of Object.keys(type.fields).sort()) {
    const field = type.fields[name];
    if (field) properties[name] = openApiSchema(field);
  }
  const required = Object.entries(type.fields).filter(([, field]) => field.required === true).map(([name]) => name);
  return {
    type: 'object',
    properties,
    ...(required.length > 0 && { required }),
    ...(type.open && { 'x-kubernetes-preserve-unknown-fields': true }),
    ...alternatives(type.oneofs),
  };
}

// int32's own bounds are said by its format.
function bounds({ format, min, max }: SchemaType & { readonly is: 'int' }): OpenApiSchema {
  const whole = format === 'int32' ? [-2147483648, 2147483647] : [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
  return defined({ minimum: min === whole[0] ? undefined : min, maximum: max === whole[1] ? undefined : max });
}

// The only form of alternatives a structural schema may have: which keys are there.
function alternatives(groups: readonly OneOfGroup[]): OpenApiSchema {
  const each = groups.map(({ keys, required }) => {
    const one = keys.map((key) => ({ required: [key] }));
    return { oneOf: required === true ? one : [{ not: { anyOf: one } }, ...one] };
  });
  return each.length > 1 ? { allOf: each } : (each[0] ?? {});
}

function defined(limits: Readonly<Record<string, number | undefined>>): OpenApiSchema {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}
