import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { messageRegistry } from './json.ts';

/**
 * The JSON of a message with durations in Go's manner ("500ms", "1m30s"), which Istio's reader takes, written as proto3 JSON has them
 * ("0.5s", "90s"). Only fields that are durations change; what is no duration stays, for the decoder to refuse.
 */
export function withProtoDurations(schema: DescMessage, json: unknown): unknown {
  if (schema.typeName === 'google.protobuf.Duration') return typeof json === 'string' ? (protoDuration(json) ?? json) : json;
  if (!isObject(json)) return json;
  const inAny = schema.typeName === 'google.protobuf.Any' ? typeOf(json['@type']) : schema;
  if (inAny === undefined) return json;
  const fields = new Map(inAny.fields.flatMap((field) => [[field.name, field], [field.jsonName, field]]));
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, inField(fields.get(name), value)]));
}

function inField(field: DescField | undefined, json: unknown): unknown {
  if (field?.message === undefined) return json;
  const { message } = field;
  if (field.fieldKind === 'list') return Array.isArray(json) ? json.map((one) => withProtoDurations(message, one)) : json;
  if (field.fieldKind === 'map') return isObject(json) ? Object.fromEntries(Object.entries(json).map(([key, one]) => [key, withProtoDurations(message, one)])) : json;
  return withProtoDurations(message, json);
}

function typeOf(url: unknown): DescMessage | undefined {
  return typeof url === 'string' ? messageRegistry().getMessage(url.slice(url.lastIndexOf('/') + 1)) : undefined;
}

const nanoseconds: Readonly<Record<string, number>> = { ns: 1, us: 1e3, 'µs': 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const parts = /(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|ms|s|m|h)/g;
const whole = /^[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|\u00b5s|ms|s|m|h))+$/;

function protoDuration(text: string): string | undefined {
  if (!whole.test(text)) return undefined;
  let sum = 0;
  for (const [, count, unit = ''] of text.matchAll(parts)) sum += Math.round(Number(count) * (nanoseconds[unit] ?? 0));
  const seconds = Math.floor(sum / 1e9);
  const rest = String(sum - seconds * 1e9).padStart(9, '0');
  return `${text.startsWith('-') ? '-' : ''}${seconds}.${rest}s`;
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
