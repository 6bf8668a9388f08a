import type { HeaderMutation } from '@meltemi/api/gen/envoy/config/common/mutation_rules/v3/mutation_rules.ts';
import type { HeaderValueOption } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { compileFormat, fieldNameOf, toWire, type HeaderMap, type StreamInfo } from '@meltemi/http';
import { isSet } from './fields.ts';
import type { Report } from './report.ts';
import type { HeaderOp, HeaderOps } from './types.ts';

/** The four lists of one level (route table, virtual host, route or weighted cluster). */
export interface HeaderOptions {
  readonly requestHeadersToAdd: readonly HeaderValueOption[];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeadersToAdd: readonly HeaderValueOption[];
  readonly responseHeadersToRemove: readonly string[];
}

/** One level compiled. */
export interface LevelOps {
  readonly request: HeaderOps;
  readonly response: HeaderOps;
}

const actions = ['append', 'append-if-absent', 'overwrite', 'overwrite-if-present'] as const;

/** Compiles one level: removals come before additions, as in Envoy. */
export function compileHeaderLevel(options: HeaderOptions, path: string, report: Report): LevelOps {
  return {
    request: compileHeaderOps(options.requestHeadersToAdd, options.requestHeadersToRemove, path, 'request_headers', report),
    response: compileHeaderOps(options.responseHeadersToAdd, options.responseHeadersToRemove, path, 'response_headers', report),
  };
}

/** Compiles additions and removals; `prefix` names the fields: "request_headers" → `request_headers_to_add[0]`. */
export function compileHeaderOps(add: readonly HeaderValueOption[], remove: readonly string[], path: string, prefix: string, report: Report): HeaderOps {
  const at = path === '' ? prefix : `${path}.${prefix}`;
  const ops: HeaderOp[] = [];
  for (const [i, name] of remove.entries()) {
    if (checkName(name, `${at}_to_remove[${i}]`, report)) ops.push(removal(name));
  }
  for (const [i, option] of add.entries()) {
    const op = compileAddition(option, `${at}_to_add[${i}]`, report);
    if (op) ops.push(op);
  }
  return ops;
}

/** Compiles single changes in the order given (header_mutation): removals by name, additions by HeaderValueOption. */
export function compileHeaderMutations(mutations: readonly HeaderMutation[], path: string, report: Report): HeaderOps {
  return mutations.flatMap(({ action }, i): HeaderOp[] => {
    const at = `${path}[${i}]`;
    if (action === undefined) report.refuse(at, 'names no action: set remove or append');
    if (action?.$case === 'append') {
      const op = compileAddition(action.value, `${at}.append`, report);
      return op === null ? [] : [op];
    }
    return action !== undefined && checkName(action.value, `${at}.remove`, report) ? [removal(action.value)] : [];
  });
}

function removal(name: string): HeaderOp {
  return { action: 'remove', name: fieldNameOf(name), literal: null, formatter: null, keepEmptyValue: false };
}

function compileAddition(option: HeaderValueOption, path: string, report: Report): HeaderOp | null {
  const header = option.header;
  if (!header || !checkName(header.key, `${path}.header.key`, report)) {
    if (!header) report.refuse(`${path}.header`, 'is required');
    return null;
  }
  if (isSet(header.rawValue) && header.value !== '') report.refuse(`${path}.header.raw_value`, 'only one of value and raw_value may be set');
  const action = option.append === undefined ? actions[option.appendAction as 0 | 1 | 2 | 3] : option.append ? 'append' : 'overwrite';
  if (action === undefined) report.refuse(`${path}.append_action`, `${option.appendAction} is not an append action`);
  const text = isSet(header.rawValue) ? header.rawValue.toString('latin1') : toWire(header.value);
  const formatter = text.includes('%') ? compileFormat(text, { ...report.formats, omitEmpty: true, wire: true }) : null;
  if (formatter && !formatter.ok) for (const error of formatter.error) report.refuse(`${path}.header.value`, error.message);
  if (/[\r\n\0]/.test(text)) report.refuse(`${path}.header.value`, 'a header value has no line breaks or NUL');
  return {
    action: action ?? 'append', name: fieldNameOf(header.key), literal: formatter === null ? text : null,
    formatter: formatter?.ok ? formatter.value : null, keepEmptyValue: option.keepEmptyValue,
  };
}

function checkName(name: string, path: string, report: Report): boolean {
  if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) && name.toLowerCase() !== 'host') return true;
  report.refuse(path, name === '' ? 'a header needs a name' : `"${name}" may not be changed here: pseudo headers and host have their own rewrites`);
  return false;
}

/** Runs the operations on a request's or response's fields. @hot */
export function applyHeaderOps(ops: HeaderOps, headers: HeaderMap, info: StreamInfo): void {
  for (let i = 0; i < ops.length; i++) {
    const op = ops[i];
    if (op !== undefined) applyOp(op, headers, info);
  }
}

function applyOp(op: HeaderOp, headers: HeaderMap, info: StreamInfo): void {
  if (op.action === 'remove') {
    headers.remove(op.name);
    return;
  }
  const value = op.literal ?? (op.formatter === null ? '' : singleLine(op.formatter.format(info)));
  if (value === '' && !op.keepEmptyValue) return;
  if (op.action === 'append') headers.add(op.name, value);
  else if (op.action === 'overwrite') headers.set(op.name, value);
  else if (headers.has(op.name) === (op.action === 'overwrite-if-present')) headers.set(op.name, value);
}

/** Substituted values come from the other side: a line break in one must not end the header. */
function singleLine(value: string): string {
  return value.includes('\n') || value.includes('\r') || value.includes('\0') ? value.replace(/[\r\n\0]/g, ' ') : value;
}
