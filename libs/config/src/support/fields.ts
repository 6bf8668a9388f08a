import type { Schema } from '../schema/schema.ts';
import type { SchemaType } from '../schema/type.ts';

/** One field of a kind's schema. */
export interface SchemaField {
  /** From spec: "http[].match[].headers{}.exact". */
  readonly path: string;
  /** "string", "list of string", "map of message", "one of A, B". */
  readonly type: string;
  readonly required: boolean;
  /** The message this field was first seen in, when it is a repetition: "trafficPolicy" for "subsets[].trafficPolicy". */
  readonly sameAs?: string;
}

/** Every field of a schema, outer ones before inner ones. */
export function schemaFields(schema: Schema<unknown>): readonly SchemaField[] {
  const found: SchemaField[] = [];
  const first = new Map<SchemaType, string>();
  const walk = (type: SchemaType, path: string): void => {
    const inner = below(type);
    if (inner) return walk(inner.type, `${path}${inner.mark}`);
    if (type.is !== 'message') return;
    for (const [name, field] of Object.entries(type.fields)) {
      const at = path === '' ? name : `${path}.${name}`;
      const message = messageOf(field.type);
      const before = message && first.get(message);
      found.push({ path: at, type: typeText(field.type), required: field.required === true, ...(before !== undefined && { sameAs: before }) });
      if (message && before === undefined && message.is === 'message' && Object.keys(message.fields).length > 1) first.set(message, at);
      walk(field.type, at);
    }
  };
  walk(schema.type, '');
  return found;
}

/** What a list or map is of, and how paths show it. */
export function below(type: SchemaType): { readonly type: SchemaType; readonly mark: '[]' | '{}' } | undefined {
  if (type.is === 'list') return { type: type.item.type, mark: '[]' };
  return type.is === 'map' ? { type: type.value.type, mark: '{}' } : undefined;
}

function messageOf(type: SchemaType): SchemaType | undefined {
  const inner = below(type);
  if (inner) return messageOf(inner.type);
  return type.is === 'message' ? type : undefined;
}

function typeText(type: SchemaType): string {
  switch (type.is) {
    case 'list':
      return `list of ${typeText(type.item.type)}`;
    case 'map':
      return `map of ${typeText(type.value.type)}`;
    case 'enum':
      return type.names.join(', ');
    case 'int':
      return type.format;
    case 'struct':
    case 'anything':
      return 'any';
    case 'intOrString':
      return 'number or string';
    default:
      return type.is;
  }
}
