import { readFileSync } from 'node:fs';
import { formatFieldErrors } from '@meltemi/base';
import { readBootstrap, type ReadBootstrap } from '@meltemi/proxy-edge';
import { StartError } from '@meltemi/observe-edge';
import { parse, stringify } from 'yaml';
import type { ProxyOptions } from './options.ts';

/** The bootstrap of -c, with --config-yaml merged over it. Throws StartError naming the field and the reason. */
export function loadBootstrap(values: ProxyOptions): ReadBootstrap & { readonly name: string } {
  const path = values['config-path'];
  const name = path ?? '--config-yaml';
  const text = path === undefined ? '' : readText(path);
  const read = readBootstrap(values['config-yaml'] === undefined ? text : merged(text, values['config-yaml'], name));
  if (!read.ok) throw new StartError(`${name} cannot be used:\n${read.error.map((error) => `  ${formatFieldErrors([error])}`).join('\n')}`);
  return { ...read.value, name };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new StartError(`-c ${path}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** As Envoy merges them: messages field by field, lists by appending. */
function merged(below: string, above: string, name: string): string {
  try {
    return stringify(merge(parse(below) ?? {}, parse(above) ?? {}));
  } catch (cause) {
    throw new StartError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function merge(a: unknown, b: unknown): unknown {
  if (Array.isArray(a) && Array.isArray(b)) return [...a as unknown[], ...b as unknown[]];
  if (!isMap(a) || !isMap(b)) return b;
  const result: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) result[key] = key in a ? merge(a[key], value) : value;
  return result;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
