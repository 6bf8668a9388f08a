import { isMap } from '../schema/containers.ts';
import type { OpenApiSchema } from './schema.ts';

/**
 * Checks a JSON value against a structural schema and nothing else: it knows JSON Schema, not our kinds. CEL rules are not run.
 * Answers each breach as "path: what is wrong".
 */
export function jsonSchemaBreaches(schema: OpenApiSchema, value: unknown, path = ''): string[] {
  if (value === null) return [];
  if (schema['x-kubernetes-int-or-string'] === true) return typeof value === 'string' || Number.isInteger(value) ? [] : [`${path}: must be a whole number or a string`];
  const type = schema['type'];
  if (typeof type === 'string' && !hasType(type, value)) return [`${path}: must be of type ${type}`];
  return [...limitBreaches(schema, value, path), ...alternativeBreaches(schema, value, path), ...innerBreaches(schema, value, path)];
}

function hasType(type: string, value: unknown): boolean {
  switch (type) {
    case 'object':
      return isMap(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function limitBreaches(schema: OpenApiSchema, value: unknown, path: string): string[] {
  const size = typeof value === 'string' || Array.isArray(value) ? value.length : isMap(value) ? Object.keys(value).length : Number(value);
  const low = schema['minimum'] ?? schema['minLength'] ?? schema['minItems'] ?? schema['minProperties'];
  const high = schema['maximum'] ?? schema['maxLength'] ?? schema['maxItems'] ?? schema['maxProperties'];
  const found: string[] = [];
  if (typeof low === 'number' && size < low) found.push(`${path}: ${size} is below ${low}`);
  if (typeof high === 'number' && size > high) found.push(`${path}: ${size} is above ${high}`);
  const { pattern } = schema;
  if (typeof pattern === 'string' && !new RegExp(pattern).test(String(value))) found.push(`${path}: does not match ${pattern}`);
  const names = schema['enum'];
  if (Array.isArray(names) && !names.includes(value)) found.push(`${path}: is not one of ${names.join(', ')}`);
  return found;
}

function alternativeBreaches(schema: OpenApiSchema, value: unknown, path: string): string[] {
  const passing = (list: readonly OpenApiSchema[]): number => list.filter((one) => jsonSchemaBreaches(one, value, path).length === 0).length;
  const found = schemas(schema['allOf']).flatMap((one) => jsonSchemaBreaches(one, value, path));
  const { oneOf, anyOf, not } = schema;
  if (oneOf !== undefined && passing(schemas(oneOf)) !== 1) found.push(`${path}: must fit exactly one alternative of ${JSON.stringify(oneOf)}`);
  if (anyOf !== undefined && passing(schemas(anyOf)) === 0) found.push(`${path}: fits none of ${JSON.stringify(anyOf)}`);
  if (isMap(not) && jsonSchemaBreaches(not, value, path).length === 0) found.push(`${path}: must not fit ${JSON.stringify(not)}`);
  return found;
}

function innerBreaches(schema: OpenApiSchema, value: unknown, path: string): string[] {
  const { items, properties, additionalProperties, required } = schema;
  if (Array.isArray(value)) return isMap(items) ? value.flatMap((one, i) => jsonSchemaBreaches(items, one, `${path}[${i}]`)) : [];
  if (!isMap(value)) return [];
  const found = (Array.isArray(required) ? required : []).filter((name) => value[String(name)] === undefined).map((name) => `${path}.${String(name)}: is required`);
  for (const [name, one] of Object.entries(value)) {
    const inner = isMap(properties) && Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (isMap(inner)) found.push(...jsonSchemaBreaches(inner, one, `${path}.${name}`));
  }
  return found;
}

function schemas(list: unknown): readonly OpenApiSchema[] {
  return Array.isArray(list) ? list.filter(isMap) : [];
}
