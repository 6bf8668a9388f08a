import { messageRegistry, typeNameOf } from '@meltemi/api';

type Message = NonNullable<ReturnType<ReturnType<typeof messageRegistry>['getMessage']>>;
type Field = Message['fields'][number];
type Enum = { readonly values: readonly { readonly name: string }[] };
type JsonMap = Readonly<Record<string, unknown>>;

const anyName = 'google.protobuf.Any';
const typedStruct = /^(?:xds\.type\.v3|udpa\.type\.v1)\.TypedStruct$/;
/** Extensions that only tune here, whichever they are: the field is warned of, so its type need not be known. */
const anyTypeFields = new Set(['typed_dns_resolver_config', 'typedDnsResolverConfig']);
const emptyType = 'type.googleapis.com/google.protobuf.Empty';

/**
 * What Envoy reads beyond strict proto3 JSON, as strict JSON: enum values in any case and with dashes, one element in place of a list of
 * it, durations as seconds and nanos, and a TypedStruct as the message it stands for. All else stays as it is written, mistakes included.
 */
export function strictJson(typeName: string, json: unknown): unknown {
  const message = messageRegistry().getMessage(typeName);
  return message ? messageOf(message, json) : json;
}

function messageOf(message: Message, json: unknown): unknown {
  if (!isMap(json)) return json;
  if (message.typeName === anyName) return anyOf(json);
  if (message.typeName === 'google.protobuf.Duration') return durationOf(json);
  if (message.typeName.startsWith('google.protobuf.')) return json;
  return mapValues(json, (value, key) => {
    const field = message.fields.find((each) => each.name === key || each.jsonName === key);
    if (!field || value === null) return value;
    return fieldOf(field, anyTypeFields.has(key) ? withKnownType(value) : value);
  });
}

function fieldOf(field: Field, value: unknown): unknown {
  if (field.fieldKind === 'list') return listOf(value)?.map((each) => singleOf(field, each)) ?? value;
  if (field.fieldKind === 'map') return isMap(value) ? mapValues(value, (each) => singleOf(field, each)) : value;
  return singleOf(field, value);
}

function singleOf(field: Field, value: unknown): unknown {
  if (field.message) return messageOf(field.message, value);
  return field.enum ? enumOf(field.enum, value) : value;
}

/** Envoy's reader takes one element for a list; a map with nothing in it says too little for that. */
function listOf(value: unknown): readonly unknown[] | null {
  if (Array.isArray(value)) return value;
  return isMap(value) && Object.keys(value).length > 0 ? [value] : null;
}

function durationOf({ seconds = 0, nanos = 0, ...others }: JsonMap): unknown {
  const whole = Number(seconds);
  const parts = Number(nanos);
  if (Object.keys(others).length > 0 || !Number.isInteger(whole) || !Number.isInteger(parts) || whole < 0 || parts < 0 || parts > 999_999_999) return { seconds, nanos, ...others };
  return `${whole}.${String(parts).padStart(9, '0')}s`;
}

function enumOf(type: Enum, value: unknown): unknown {
  if (typeof value !== 'string' || type.values.some(({ name }) => name === value)) return value;
  const upper = value.toUpperCase().replaceAll('-', '_');
  return type.values.some(({ name }) => name === upper) ? upper : value;
}

function anyOf(json: JsonMap): unknown {
  const { '@type': type, ...fields } = json;
  if (typeof type !== 'string') return json;
  const name = typeNameOf(type);
  if (typedStruct.test(name)) return structOf(json);
  const message = messageRegistry().getMessage(name);
  if (!message || message.typeName.startsWith('google.protobuf.')) return json;
  return { '@type': type, ...messageOf(message, fields) as JsonMap };
}

function structOf(json: JsonMap): unknown {
  const type = json['type_url'] ?? json['typeUrl'];
  const value = json['value'] ?? {};
  return typeof type === 'string' && isMap(value) ? anyOf({ ...value, '@type': type }) : json;
}

/** A TypedExtensionConfig whose type we need not know. */
function withKnownType(value: unknown): unknown {
  const config = isMap(value) ? value['typed_config'] ?? value['typedConfig'] : undefined;
  if (!isMap(value) || !isMap(config)) return value;
  const type = config['@type'];
  const known = typeof type !== 'string' || messageRegistry().getMessage(typeNameOf(type)) !== undefined;
  return known ? value : { name: value['name'] ?? '', typed_config: { '@type': emptyType } };
}

function mapValues(map: JsonMap, change: (value: unknown, key: string) => unknown): JsonMap {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value, key)]));
}

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
