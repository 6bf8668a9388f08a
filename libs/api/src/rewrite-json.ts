import type { DescEnum, DescField, DescMessage } from '@bufbuild/protobuf';

export type JsonMap = Readonly<Record<string, unknown>>;

/** What becomes of a message's JSON on the way down. */
export interface JsonRewriter {
  /** In place of a message. `inside` rewrites the fields of such a map, as those of this message or of another; anything else it gives back. */
  message(schema: DescMessage, json: unknown, inside: (json: unknown, schema?: DescMessage) => unknown): unknown;
  /** In place of what a field is set to, before its elements are looked at; default: as it is. */
  field?(field: DescField, json: unknown, name: string): unknown;
  /** In place of an enum's value; default: as it is. */
  enum?(schema: DescEnum, json: unknown): unknown;
}

/** Rewrites the proto3 JSON of a message by its descriptor. Unknown fields and null stay, and so does what is of the wrong shape: for the decoder to refuse. */
export function rewriteJson(schema: DescMessage, json: unknown, rewriter: JsonRewriter): unknown {
  return rewriter.message(schema, json, (inner, as = schema) => {
    if (!isMap(inner)) return inner;
    return mapValues(inner, (value, name) => {
      const field = as.fields.find((each) => each.name === name || each.jsonName === name);
      return field === undefined || value === null ? value : inField(field, rewriter.field?.(field, value, name) ?? value, rewriter);
    });
  });
}

function inField(field: DescField, json: unknown, rewriter: JsonRewriter): unknown {
  const single = (value: unknown) => {
    if (field.message !== undefined) return rewriteJson(field.message, value, rewriter);
    return field.enum === undefined ? value : (rewriter.enum?.(field.enum, value) ?? value);
  };
  if (field.fieldKind === 'list') return Array.isArray(json) ? json.map(single) : json;
  if (field.fieldKind === 'map') return isMap(json) ? mapValues(json, single) : json;
  return single(json);
}

export function isMap(json: unknown): json is JsonMap {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function mapValues(map: JsonMap, change: (value: unknown, name: string) => unknown): JsonMap {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value, name)]));
}
