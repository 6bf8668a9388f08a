import { isMap } from '../schema/containers.ts';
import { child, item } from '../schema/schema.ts';
import type { Schema } from '../schema/schema.ts';
import type { SchemaType } from '../schema/type.ts';

/** A field that an object sets. */
export interface UsedField {
  /** Its place in the schema: "http[].route[].weight". */
  readonly path: string;
  /** Its place in the object: "spec.http[0].route[1].weight". */
  readonly at: string;
  readonly value: unknown;
}

/** The fields an object sets to something other than the zero of their type, outer ones before inner ones. Unknown fields are left out. */
export function usedFields(schema: Schema<unknown>, content: unknown, at: string): readonly UsedField[] {
  const found: UsedField[] = [];
  visit(schema.type, content, { path: '', at, found });
  return found;
}

interface Visit {
  readonly path: string;
  readonly at: string;
  readonly found: UsedField[];
}

function visit(type: SchemaType, value: unknown, { path, at, found }: Visit): void {
  if (type.is === 'list') {
    if (Array.isArray(value)) for (const [i, one] of value.entries()) visit(type.item.type, one, { path: `${path}[]`, at: item(at, i), found });
  } else if (type.is === 'map') {
    if (isMap(value)) for (const [key, one] of Object.entries(value)) visit(type.value.type, one, { path: `${path}{}`, at: child(at, key), found });
  } else if (type.is === 'message' && isMap(value)) {
    for (const [written, one] of Object.entries(value)) {
      const name = Object.hasOwn(type.fields, written) ? written : written.replace(/_([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase());
      const field = Object.hasOwn(type.fields, name) ? type.fields[name] : undefined;
      if (!field || isZero(field.type, one)) continue;
      const place = { path: path === '' ? name : `${path}.${name}`, at: child(at, written), found };
      found.push({ path: place.path, at: place.at, value: one });
      visit(field.type, one, place);
    }
  }
}

function isZero(type: SchemaType, value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  return type.is === 'enum' && value === type.names[0];
}
