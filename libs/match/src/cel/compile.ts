import { err, ok, type Result } from '@meltemi/base';
import type { StreamInfo } from '@meltemi/http';
import { compileRegex } from '../safe-regex.ts';
import { attributes, type CelMap, type CelValue } from './attributes.ts';
import { CelSyntaxError, parseCel, type Node } from './parse.ts';

/** A compiled expression over a finished (or running) stream. Undefined: something it needs is not there. */
export interface CelExpression {
  readonly source: string;
  evaluate(info: StreamInfo): CelValue;
}

type Run = (info: StreamInfo) => CelValue;

/** Compiles an expression of CEL: operators, `in`, `?:`, `has`, and the functions below, over Envoy's attributes. The error is a reason. */
export function compileCel(text: string): Result<CelExpression, string> {
  try {
    const run = compile(parseCel(text));
    return ok({ source: text, evaluate: run });
  } catch (error) {
    if (error instanceof CelSyntaxError) return err(`${JSON.stringify(text)}: ${error.message}`);
    throw error;
  }
}

/** Why an expression cannot be run here, or undefined. */
export function celReason(text: string): string | undefined {
  const compiled = compileCel(text);
  return compiled.ok ? undefined : compiled.error;
}

function compile(node: Node): Run {
  switch (node.kind) {
    case 'value': {
      const { value } = node;
      return () => value;
    }
    case 'list': {
      const items = node.items.map(compile);
      return (info) => items.map((item) => item(info));
    }
    case 'call':
      return compileCall(node);
    default:
      return compileAccess(node);
  }
}

/** `request.headers['x']`: the longest attribute there is, then entry by entry. */
function compileAccess(node: Extract<Node, { kind: 'name' | 'field' | 'index' }>): Run {
  const name = staticName(node);
  const read = name === undefined || !Object.hasOwn(attributes, name) ? undefined : attributes[name];
  if (read) return read;
  if (node.kind === 'name') throw new CelSyntaxError(`${node.name} is not an attribute that is known here`);
  if (name !== undefined && !isPrefixed(name)) throw new CelSyntaxError(`${name} is not an attribute that is known here`);
  const of = compile(node.of);
  const key = node.kind === 'field' ? () => node.name : compile(node.key);
  return (info) => entryOf(of(info), key(info));
}

/** "request.headers" of a chain of names. */
function staticName(node: Node): string | undefined {
  if (node.kind === 'name') return node.name;
  const inner = node.kind === 'field' ? staticName(node.of) : undefined;
  return inner === undefined || node.kind !== 'field' ? undefined : `${inner}.${node.name}`;
}

function isPrefixed(name: string): boolean {
  return Object.keys(attributes).some((attribute) => name.startsWith(`${attribute}.`));
}

function entryOf(value: CelValue, key: CelValue): CelValue {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return typeof key === 'number' ? (value[key] as CelValue) : undefined;
  if (typeof key !== 'string') return undefined;
  if (isMap(value)) return value.entry(key);
  return Object.hasOwn(value, key) ? (value as Readonly<Record<string, CelValue>>)[key] : undefined;
}

function isMap(value: object): value is CelMap {
  return 'entry' in value && typeof value.entry === 'function';
}

function compileCall({ name, of, args }: Extract<Node, { kind: 'call' }>): Run {
  if (name === 'has' && of === null) {
    const [arg] = args;
    if (args.length !== 1 || (arg?.kind !== 'field' && arg?.kind !== 'index')) throw new CelSyntaxError('has() takes one field, like has(request.headers.x)');
    const inner = compile(arg);
    return (info) => inner(info) !== undefined;
  }
  if (name === 'matches') return compileMatches(of, args);
  const lazy = Object.hasOwn(lazyOperators, name) ? lazyOperators[name] : undefined;
  const all = [...(of ? [of] : []), ...args].map(compile);
  if (lazy) return lazy(all);
  const entry = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (!entry || entry.length !== all.length) throw new CelSyntaxError(`${name}() is not a function that is known here`);
  const [a, b] = all;
  if (!a) throw new CelSyntaxError(`${name}() needs an argument`);
  return b ? (info) => defined(entry, a(info), b(info)) : (info) => defined(entry, a(info), null);
}

function defined(entry: Binary, a: CelValue, b: CelValue): CelValue {
  return a === undefined || b === undefined ? undefined : entry(a, b);
}

function compileMatches(of: Node | null, args: readonly Node[]): Run {
  const [subject, pattern] = of ? [of, args[0]] : args;
  if (!subject || pattern?.kind !== 'value' || typeof pattern.value !== 'string') throw new CelSyntaxError('matches() takes a pattern that is written out');
  const regex = compileRegex(`(?s:.*)(?:${pattern.value})(?s:.*)`);
  if (!regex.ok) throw new CelSyntaxError(regex.error);
  const read = compile(subject);
  return (info) => {
    const value = read(info);
    return typeof value === 'string' ? regex.value.matchesAll(value) : undefined;
  };
}

/** A missing side does not matter where the other decides. */
const lazyOperators: Readonly<Record<string, (args: readonly Run[]) => Run>> = {
  '&&': ([a, b]) => (info) => {
    const left = a?.(info);
    if (left === false) return false;
    const right = b?.(info);
    if (right === false) return false;
    return left === true && right === true ? true : undefined;
  },
  '||': ([a, b]) => (info) => {
    const left = a?.(info);
    if (left === true) return true;
    const right = b?.(info);
    if (right === true) return true;
    return left === false && right === false ? false : undefined;
  },
  '?:': ([condition, then, otherwise]) => (info) => {
    const decided = condition?.(info);
    return decided === true ? then?.(info) : decided === false ? otherwise?.(info) : undefined;
  },
};

type Binary = (a: CelValue, b: CelValue) => CelValue;

const numeric = (calculate: (a: number, b: number) => CelValue): Binary => (a, b) => (typeof a === 'number' && typeof b === 'number' ? calculate(a, b) : undefined);
const textual = (calculate: (a: string, b: string) => CelValue): Binary => (a, b) => (typeof a === 'string' && typeof b === 'string' ? calculate(a, b) : undefined);
const ordered = (compare: (sign: number) => boolean): Binary => (a, b) => {
  if (typeof a === 'number' && typeof b === 'number') return compare(a - b);
  return typeof a === 'string' && typeof b === 'string' ? compare(a < b ? -1 : a > b ? 1 : 0) : undefined;
};
const one = (calculate: (value: CelValue) => CelValue): ((value: CelValue) => CelValue) => calculate;
const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001, ns: 0.000_001 };

/** Functions, methods and operators: how many arguments each takes is its length. */
const functions: Readonly<Record<string, Binary | ((value: CelValue) => CelValue)>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': ordered((sign) => sign < 0),
  '<=': ordered((sign) => sign <= 0),
  '>': ordered((sign) => sign > 0),
  '>=': ordered((sign) => sign >= 0),
  in: (a, b) => (Array.isArray(b) ? b.includes(a) : typeof b === 'object' && b !== null ? entryOf(b, a) !== undefined : undefined),
  '+': (a, b) => (typeof a === 'string' && typeof b === 'string' ? a + b : typeof a === 'number' && typeof b === 'number' ? a + b : undefined),
  '-': numeric((a, b) => a - b),
  '*': numeric((a, b) => a * b),
  '/': numeric((a, b) => (b === 0 ? undefined : a / b)),
  '%': numeric((a, b) => (b === 0 ? undefined : a % b)),
  '!': one((value) => (typeof value === 'boolean' ? !value : undefined)),
  '0-': one((value) => (typeof value === 'number' ? -value : undefined)),
  startsWith: textual((text, part) => text.startsWith(part)),
  endsWith: textual((text, part) => text.endsWith(part)),
  contains: textual((text, part) => text.includes(part)),
  size: one((value) => (typeof value === 'string' || Array.isArray(value) ? value.length : undefined)),
  string: one((value) => (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined)),
  int: one((value) => whole(Number(value))),
  uint: one((value) => whole(Number(value))),
  double: one((value) => (Number.isNaN(Number(value)) ? undefined : Number(value))),
  duration: one((value) => (typeof value === 'string' ? durationOf(value) : undefined)),
  lowerAscii: one((value) => (typeof value === 'string' ? value.toLowerCase() : undefined)),
  upperAscii: one((value) => (typeof value === 'string' ? value.toUpperCase() : undefined)),
};

function whole(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : Math.trunc(value);
}

/** "1.5s", "2m30s". */
function durationOf(text: string): number | undefined {
  if (!/^-?(?:\d+(?:\.\d+)?(?:h|ms|us|ns|m|s))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)/g)) total += Number(amount) * (units[unit ?? ''] ?? 0);
  return text.startsWith('-') ? -total : total;
}
