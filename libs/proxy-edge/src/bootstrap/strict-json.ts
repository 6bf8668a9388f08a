import { isMap, messageRegistry, rewriteJson, typeNameOf, type JsonMap, type JsonRewriter } from '@meltemi/api';

type Enum = { readonly values: readonly { readonly name: string }[] };
type Inside = Parameters<JsonRewriter['message']>[2];

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
  return message ? rewriteJson(message, json, lenient) : json;
}

const lenient: JsonRewriter = {
  message: ({ typeName }, json, inside) => {
    if (!isMap(json)) return json;
    if (typeName === 'google.protobuf.Any') return anyOf(json, inside);
    if (typeName === 'google.protobuf.Duration') return durationOf(json);
    return typeName.startsWith('google.protobuf.') ? json : inside(json);
  },
  field: (field, json, name) => {
    const value = anyTypeFields.has(name) ? withKnownType(json) : json;
    return field.fieldKind === 'list' ? listOf(value) : value;
  },
  enum: enumOf,
};

/** Envoy's reader takes one element for a list; a map with nothing in it says too little for that. */
function listOf(value: unknown): unknown {
  return isMap(value) && Object.keys(value).length > 0 ? [value] : value;
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

function anyOf(json: JsonMap, inside: Inside): unknown {
  const type = json['@type'];
  if (typeof type !== 'string') return json;
  const name = typeNameOf(type);
  if (typedStruct.test(name)) return structOf(json, inside);
  const message = messageRegistry().getMessage(name);
  return !message || message.typeName.startsWith('google.protobuf.') ? json : inside(json, message);
}

function structOf(json: JsonMap, inside: Inside): unknown {
  const type = json['type_url'] ?? json['typeUrl'];
  const value = json['value'] ?? {};
  return typeof type === 'string' && isMap(value) ? anyOf({ ...value, '@type': type }, inside) : json;
}

/** A TypedExtensionConfig whose type we need not know. */
function withKnownType(value: unknown): unknown {
  const config = isMap(value) ? value['typed_config'] ?? value['typedConfig'] : undefined;
  if (!isMap(value) || !isMap(config)) return value;
  const type = config['@type'];
  const known = typeof type !== 'string' || messageRegistry().getMessage(typeNameOf(type)) !== undefined;
  return known ? value : { name: value['name'] ?? '', typed_config: { '@type': emptyType } };
}
