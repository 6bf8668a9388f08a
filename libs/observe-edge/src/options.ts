import { fail, ok, parseDurationMs, type FieldError, type Result } from '@meltemi/base';
import { parseAddress, parseUnixAddress, type Address } from './address.ts';

interface OptionBase {
  /** Long name without dashes, kebab-case. The environment name MELTEMI_<NAME> follows from it. */
  readonly name: string;
  /** One line for --help. */
  readonly description: string;
  /** One letter, without the dash. */
  readonly short?: string;
  /** Further environment names, tried in order after MELTEMI_<NAME>. */
  readonly env?: readonly string[];
  /** The default, written as the user would write it. */
  readonly default?: string;
  /** Refuse to start without a value. */
  readonly required?: boolean;
  /** What --help shows for the value. */
  readonly placeholder?: string;
}

/**
 * One flag of a program. Values: `duration` gives milliseconds, `address` gives {host, port}, `list` is comma-separated or repeated,
 * `bool` takes no value (or =true/=false) and is false unless given.
 */
export type OptionSpec = OptionBase &
  (
    | { readonly type: 'string' | 'duration' | 'bool' | 'list' }
    // with `unix`, unix:/path is one too
    | { readonly type: 'address'; readonly unix?: boolean }
    | { readonly type: 'int'; readonly min?: number; readonly max?: number }
    | { readonly type: 'choice'; readonly choices: readonly string[] }
  );

type ValueOf<S> = S extends { type: 'int' | 'duration' }
  ? number
  : S extends { type: 'bool' }
    ? boolean
    : S extends { type: 'list' }
      ? readonly string[]
      : S extends { type: 'address' }
        ? Address
        : S extends { type: 'choice'; choices: readonly (infer C)[] }
          ? C
          : string;

/** Options by name; undefined only where there is neither a default nor `required`. */
export type OptionValues<S extends readonly OptionSpec[]> = {
  readonly [O in S[number] as O['name']]: O extends { type: 'bool' | 'list' } | { default: string } | { required: true } ? ValueOf<O> : ValueOf<O> | undefined;
};

/** MELTEMI_ADMIN_LISTEN for admin-listen. */
export function environmentName(option: string): string {
  return `MELTEMI_${option.toUpperCase().replaceAll('-', '_')}`;
}

/** One given text to its value. Errors name the flag and what would be right. */
export function parseOption(spec: OptionSpec, text: string, from = `--${spec.name}`): Result<unknown> {
  const parsed = parseValue(spec, text);
  return parsed.ok ? parsed : fail(from, parsed.error[0]?.message ?? 'not valid');
}

function parseValue(spec: OptionSpec, text: string): Result<unknown> {
  switch (spec.type) {
    case 'string':
      return ok(text);
    case 'list':
      return ok(text.split(',').map((part) => part.trim()).filter((part) => part !== ''));
    case 'bool':
      return /^(true|1|yes|on)$/i.test(text) ? ok(true) : /^(false|0|no|off|)$/i.test(text) ? ok(false) : fail('', `"${text}" is not true or false`);
    case 'int':
      return parseInteger(text, spec.min ?? Number.MIN_SAFE_INTEGER, spec.max ?? Number.MAX_SAFE_INTEGER);
    case 'duration': {
      const parsed = parseDurationMs(text);
      return parsed.ok && parsed.value < 0 ? fail('', `"${text}" is negative`) : parsed;
    }
    case 'address':
      return (spec.unix === true ? okOr(parseUnixAddress(text)) : undefined) ?? parseAddress(text);
    case 'choice':
      return spec.choices.includes(text) ? ok(text) : fail('', `"${text}" is not one of ${spec.choices.join(', ')}`);
  }
}

function okOr(address: Address | undefined): Result<Address> | undefined {
  return address && ok(address);
}

function parseInteger(text: string, min: number, max: number): Result<number> {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) return fail('', `"${text}" is not a whole number`);
  return value < min || value > max ? fail('', `${text} is outside ${min} to ${max}`) : ok(value);
}

export interface ResolvedOptions {
  readonly values: Readonly<Record<string, unknown>>;
  /** Names that came from the command line or the environment, not from a default. */
  readonly given: ReadonlySet<string>;
}

/** Command line over environment over default, every error collected. */
export function resolveOptions(specs: readonly OptionSpec[], flags: Readonly<Record<string, readonly string[]>>, environment: Readonly<Record<string, string | undefined>>): Result<ResolvedOptions> {
  const values: Record<string, unknown> = {};
  const given = new Set<string>();
  const errors: FieldError[] = [];
  for (const spec of specs) {
    const source = sourceOf(spec, flags, environment);
    if (source?.given) given.add(spec.name);
    if (!source) {
      if (spec.required) errors.push({ path: `--${spec.name}`, message: `is required; give it or set ${environmentName(spec.name)}` });
      values[spec.name] = spec.type === 'bool' ? false : spec.type === 'list' ? [] : undefined;
      continue;
    }
    const parsed = parseOption(spec, source.text, source.from);
    if (parsed.ok) values[spec.name] = parsed.value;
    else errors.push(...parsed.error);
  }
  return errors.length > 0 ? { ok: false, error: errors } : ok({ values, given });
}

function sourceOf(spec: OptionSpec, flags: Readonly<Record<string, readonly string[]>>, environment: Readonly<Record<string, string | undefined>>): { text: string; from: string; given: boolean } | undefined {
  const flag = flags[spec.name];
  if (flag) return { text: spec.type === 'list' ? flag.join(',') : (flag.at(-1) ?? ''), from: `--${spec.name}`, given: true };
  for (const name of [environmentName(spec.name), ...(spec.env ?? [])]) {
    const text = environment[name];
    if (text !== undefined && text !== '') return { text, from: name, given: true };
  }
  return spec.default === undefined ? undefined : { text: spec.default, from: `--${spec.name}`, given: false };
}
