import { fail, ok, type Result } from './result.ts';

const unitMs: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Go-style and proto3 JSON durations to milliseconds: "1.5s", "100ms", "1h30m", "-2s". "0" alone is zero.
 * Source: Go time.ParseDuration, which Istio's YAML reader applies; proto3 JSON ("3.000000001s") is a subset.
 */
export function parseDurationMs(text: string): Result<number> {
  if (text === '0') return ok(0);
  const matched = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|\u00b5s|ms|s|m|h))+$/.exec(text);
  if (!matched) return fail('', `"${text}" is not a duration: write a number and a unit, like 500ms, 1.5s, 10m or 1h`);
  let total = 0;
  for (const part of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|ms|s|m|h)/g)) total += Number(part[1]) * (unitMs[part[2] ?? ''] ?? 0);
  return ok(matched[1] === '-' ? -total : total);
}

/** Milliseconds as proto3 JSON writes a Duration: 1500 → "1.5s". */
export function formatDuration(ms: number): string {
  return `${Number((ms / 1000).toFixed(9))}s`;
}
