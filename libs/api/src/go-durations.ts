import type { DescMessage } from '@bufbuild/protobuf';
import { typeNameOf } from './any.ts';
import { messageRegistry } from './json.ts';
import { isMap, rewriteJson } from './rewrite-json.ts';

/**
 * The JSON of a message with durations in Go's manner ("500ms", "1m30s"), which Istio's reader takes, written as proto3 JSON has them
 * ("0.5s", "90s"). Only fields that are durations change; what is no duration stays, for the decoder to refuse.
 */
export function withProtoDurations(schema: DescMessage, json: unknown): unknown {
  return rewriteJson(schema, json, {
    message: ({ typeName }, value, inside) => {
      if (typeName === 'google.protobuf.Duration') return typeof value === 'string' ? (protoDuration(value) ?? value) : value;
      if (typeName !== 'google.protobuf.Any') return inside(value);
      const type = isMap(value) ? value['@type'] : undefined;
      const held = typeof type === 'string' ? messageRegistry().getMessage(typeNameOf(type)) : undefined;
      return held === undefined ? value : inside(value, held);
    },
  });
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
