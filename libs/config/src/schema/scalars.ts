import { parseDurationMs } from '@meltemi/base';
import type { DurationMs } from '../kinds/types.ts';
import { suggestion } from './suggestion.ts';
import { mismatch, type Schema } from './schema.ts';

export interface StringLimits {
  readonly minLength?: number;
  readonly maxLength?: number;
  /** What the whole text must look like, and the words for it. */
  readonly pattern?: { readonly regex: string; readonly reason: string };
}

export function string(limits: StringLimits = {}): Schema<string> {
  const { pattern, ...lengths } = limits;
  const shape = pattern && new RegExp(pattern.regex);
  return {
    type: { is: 'string', ...lengths, ...(pattern && { pattern: pattern.regex }) },
    decode(input, path, errors) {
      if (typeof input !== 'string') {
        const quote = typeof input === 'number' || typeof input === 'boolean' ? ` (quote it: ${JSON.stringify(String(input))})` : '';
        mismatch(errors, path, `a string${quote}`, input);
        return '';
      }
      if (input.length < (limits.minLength ?? 0)) errors.push({ path, message: 'must not be empty' });
      if (input.length > (limits.maxLength ?? Infinity)) errors.push({ path, message: `must have at most ${limits.maxLength} characters, has ${input.length}` });
      else if (pattern && shape?.test(input) === false) errors.push({ path, message: `${JSON.stringify(input)} ${pattern.reason}` });
      return input;
    },
    missing: () => '',
  };
}

export function bool(): Schema<boolean> {
  return {
    type: { is: 'bool' },
    decode(input, path, errors) {
      if (typeof input === 'boolean') return input;
      mismatch(errors, path, 'true or false', input);
      return false;
    },
    missing: () => false,
  };
}

const ranges = {
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
  /** Beyond 2^53 - 1 a JSON number is not exact, and nothing here needs it. */
  uint64: [0, Number.MAX_SAFE_INTEGER],
} as const;

/** A whole number; proto3 JSON also allows it as a decimal string. */
export function int(type: keyof typeof ranges, limits: { readonly min?: number; readonly max?: number } = {}): Schema<number> {
  const min = Math.max(ranges[type][0], limits.min ?? -Infinity);
  const max = Math.min(ranges[type][1], limits.max ?? Infinity);
  return {
    type: { is: 'int', format: type, min, max },
    decode(input, path, errors) {
      const value = typeof input === 'string' && /^-?\d+$/.test(input) ? Number(input) : input;
      if (typeof value !== 'number' || !Number.isInteger(value)) {
        mismatch(errors, path, 'a whole number', input);
        return 0;
      }
      if (value < min || value > max) errors.push({ path, message: `must be in the range ${min}…${max}, found ${value}` });
      return value;
    },
    missing: () => 0,
  };
}

/** A finite number; proto3 JSON also allows it as a string. */
export function double(limits: { readonly min?: number; readonly max?: number } = {}): Schema<number> {
  const { min = -Infinity, max = Infinity } = limits;
  return {
    type: { is: 'double', ...limits },
    decode(input, path, errors) {
      const value = typeof input === 'string' && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(input) ? Number(input) : input;
      if (typeof value !== 'number' || !Number.isFinite(value)) {
        mismatch(errors, path, 'a number', input);
        return 0;
      }
      if (value < min || value > max) errors.push({ path, message: `must be in the range ${min}…${max}, found ${value}` });
      return value;
    },
    missing: () => 0,
  };
}

/** "1.5s", "100ms", "1h". Always wrapped in `optional` or given a default: an absent duration is not 0. */
export function duration(limits: { readonly minMs?: number } = {}): Schema<DurationMs> {
  return {
    type: { is: 'duration', ...limits },
    decode(input, path, errors) {
      if (typeof input !== 'string') {
        mismatch(errors, path, 'a duration with its unit, like "500ms" or "5s"', input);
        return 0;
      }
      const parsed = parseDurationMs(input);
      if (parsed.ok) {
        if (parsed.value < (limits.minMs ?? -Infinity)) errors.push({ path, message: `must be at least ${limits.minMs}ms, found ${input}` });
        return parsed.value;
      }
      for (const error of parsed.error) errors.push({ path, message: error.message });
      return 0;
    },
    missing: () => 0,
  };
}

/** One of the names, case-sensitive; the first is the zero. */
export function oneOf<const T extends readonly [string, ...string[]]>(names: T): Schema<T[number]> {
  const isName = (input: unknown): input is T[number] => typeof input === 'string' && names.includes(input);
  return {
    type: { is: 'enum', names },
    decode(input, path, errors) {
      if (isName(input)) return input;
      const hint = typeof input === 'string' ? suggestion(input, names) : '';
      mismatch(errors, path, `one of ${names.join(', ')}`, input);
      const last = errors.at(-1);
      if (hint !== '' && last) errors[errors.length - 1] = { path, message: last.message + hint };
      return names[0];
    },
    missing: () => names[0],
  };
}

/** A duration of at least 1 ms: what Istio asks of nearly all of them. */
export function someTime(): Schema<DurationMs> {
  return duration({ minMs: 1 });
}

/** A whole number or a name, as Kubernetes writes ports. A string of digits is a number to us: nothing can be named so. */
export function intOrString(): Schema<number | string> {
  const number = int('int32');
  return {
    type: { is: 'intOrString' },
    decode: (input, path, errors) => (typeof input === 'string' && !/^\d+$/.test(input) ? input : number.decode(input, path, errors)),
    missing: () => 0,
  };
}

/** base64 (standard or URL alphabet), as proto3 JSON writes bytes. */
export function bytes(): Schema<Uint8Array> {
  return {
    type: { is: 'bytes' },
    decode(input, path, errors) {
      if (typeof input === 'string' && /^[A-Za-z0-9+/_-]*={0,2}$/.test(input)) return Buffer.from(input, 'base64');
      mismatch(errors, path, 'base64', input);
      return new Uint8Array();
    },
    missing: () => new Uint8Array(),
  };
}
