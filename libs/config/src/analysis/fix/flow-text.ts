import type { FixValue } from './source-fix.ts';

/** How the neighbours are written: JSON (quoted keys) or YAML. */
export type Style = 'json' | 'yaml';

/** A value on one line, in the style of its neighbours. */
export function flowText(value: FixValue, style: Style): string {
  if (style === 'json') return JSON.stringify(value);
  if (typeof value === 'string') return scalarText(value);
  if (typeof value !== 'object') return String(value);
  if (isList(value)) return `[${value.map((one) => flowText(one, style)).join(', ')}]`;
  return `{${Object.entries(value).map(([key, one]) => `${scalarText(key)}: ${flowText(one, style)}`).join(', ')}}`;
}

export function keyText(key: string, style: Style): string {
  return style === 'json' ? JSON.stringify(key) : scalarText(key);
}

function isList(value: object): value is readonly FixValue[] {
  return Array.isArray(value);
}

const words = /^(true|false|yes|no|on|off|null|y|n)$/i;

function scalarText(text: string): string {
  return /^[A-Za-z][\w./-]*$/.test(text) && !words.test(text) ? text : JSON.stringify(text);
}
