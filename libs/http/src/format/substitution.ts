import { fail, ok, type FieldError, type Result } from '@meltemi/base';
import type { StreamInfo } from '../stream-info.ts';
import { argumentOperators } from './argument-operators.ts';
import { textOperator, type Command, type FormatOptions, type Operator } from './operator.ts';
import { streamOperators } from './stream-operators.ts';
import { fromWire, toWire } from '../wire-text.ts';

/** Takes a text piece by piece. */
export interface TextSink {
  text(piece: string): void;
}

/** A compiled format string. `format` gives the whole text, `writeTo` the pieces of it, which need not be joined. @hot */
export interface Formatter {
  readonly source: string;
  format(info: StreamInfo): string;
  writeTo(info: StreamInfo, out: TextSink): void;
}

/** A format string taken apart: literals and operators. */
export type FormatPart = string | Operator;

/** Longest format accepted, in characters. */
const maxLength = 65_536;

/**
 * Compiles Envoy's command operators: `%NAME%`, `%NAME(argument)%`, `%NAME(argument):length%`, `%%` for a percent sign.
 * Errors name the command or the place where none could be read; their path is "".
 */
export function compileFormat(source: string, options: FormatOptions = {}): Result<Formatter> {
  const parts = parseFormat(source, options);
  if (!parts.ok) return parts;
  const missing = options.omitEmpty === true ? '' : '-';
  const compiled = parts.value;
  if (compiled.every((part) => typeof part === 'string')) return ok(literalFormatter(source, compiled.join('')));
  return ok({ source, format: (info) => formatParts(compiled, info, missing), writeTo: (info, out) => writeParts(compiled, info, missing, out) });
}

function literalFormatter(source: string, text: string): Formatter {
  return { source, format: () => text, writeTo: (_info, out) => out.text(text) };
}

/** @hot */
export function formatParts(parts: readonly FormatPart[], info: StreamInfo, missing: string): string {
  let out = '';
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? '';
    out += typeof part === 'string' ? part : (part.text(info) ?? missing);
  }
  return out;
}

/** @hot */
function writeParts(parts: readonly FormatPart[], info: StreamInfo, missing: string, out: TextSink): void {
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? '';
    out.text(typeof part === 'string' ? part : (part.text(info) ?? missing));
  }
}

/** The parts of a format; neighbouring literals are joined. */
export function parseFormat(source: string, options: FormatOptions): Result<FormatPart[]> {
  if (source.length > maxLength) return fail('', `format is longer than ${maxLength} characters`);
  const token = /%(?:(%)|([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d{1,9}))?%)|([^%]+)|(%)/gy;
  const parts: FormatPart[] = [];
  const errors: FieldError[] = [];
  for (const match of source.matchAll(token)) {
    const [, percent, name, argument, length, literal, stray] = match;
    if (stray !== undefined) return fail('', `no command can be read at position ${match.index}: write %NAME%, %NAME(argument)% or %%`);
    if (name === undefined) appendLiteral(parts, percent ?? literal ?? '');
    else {
      const operator = compileCommand({ name, argument: argument ?? null, maxLength: length === undefined ? null : Number(length) }, options);
      if (typeof operator === 'string') errors.push({ path: '', message: operator });
      else parts.push(operator);
    }
  }
  return errors.length > 0 ? { ok: false, error: errors } : ok(parts);
}

function appendLiteral(parts: FormatPart[], text: string): void {
  const last = parts.length - 1;
  const previous = parts[last];
  if (typeof previous === 'string') parts[last] = previous + text;
  else parts.push(text);
}

/** What these give stood in a field or a request line. */
const ofWire: ReadonlySet<string> = new Set(['REQ', 'REQ_WITHOUT_QUERY', 'RESP', 'TRAILER', 'QUERY_PARAM', 'PATH']);

function compileCommand(command: Command, options: FormatOptions): Operator | string {
  if (options.wire !== true) return compileText(command, options);
  const operator = compileText({ ...command, argument: command.argument === null ? null : fromWire(command.argument) }, options);
  if (typeof operator === 'string' || ofWire.has(command.name)) return operator;
  const { text } = operator;
  return textOperator((info) => {
    const found = text(info);
    return found === null ? null : toWire(found);
  });
}

function compileText(command: Command, options: FormatOptions): Operator | string {
  const factory = Object.hasOwn(argumentOperators, command.name) ? argumentOperators[command.name] : undefined;
  if (factory) return factory(command, options);
  const operator = Object.hasOwn(streamOperators, command.name) ? streamOperators[command.name] : undefined;
  if (!operator) return `%${command.name}% is not a command we know`;
  if (command.argument !== null) return `%${command.name}% takes no argument`;
  if (command.maxLength !== null) return `%${command.name}% takes no length`;
  return operator;
}
