import { fail, type Result } from '@meltemi/base';
import { compileRegex, compileRegexRewrite } from './safe-regex.ts';
import type { RegexRewrite, StringMatch } from './types.ts';

/** One character of a path segment (RFC 3986's pchar), for a character class. */
const pchar = "a-zA-Z0-9\\-._~%!$&'()+,;:@=";
const wholeLiteral = new RegExp(`^[${pchar}]*$`);
const segmentForm = new RegExp(`^(\\*\\*|\\*|\\{[^{}]*\\})?([${pchar}]*)$`);
const variableForm = /^\{([a-zA-Z][a-zA-Z0-9_]{0,15})(?:=(.+))?\}$/;
const maxVariables = 5;

/** A compiled URI template. */
export interface UriTemplate extends StringMatch {
  readonly template: string;
  /** Compiles what paths of this template become (envoy.extensions.path.rewrite.uri_template): literals, and {name} for what that variable was. */
  rewriter(rewrite: string, path: string): Result<RegexRewrite>;
}

/**
 * Compiles a URI template (envoy.extensions.path.match.uri_template): "*" is one segment, "**" the rest of the path (once, no other operator
 * after it), {name} and {name=pattern} what their pattern is; all else is literal. Matches a whole path without its query.
 */
export function compileUriTemplate(template: string, path: string): Result<UriTemplate> {
  const names = new Set<string>();
  const built = patternOf(template, names);
  if (typeof built !== 'string') return fail(path, built.reason);
  const regex = compileRegex(built);
  if (!regex.ok) return fail(path, regex.error);
  const compiled = regex.value;
  return { ok: true, value: { template, matches: (value) => compiled.matchesAll(value), rewriter: (rewrite, at) => compileRewriter(rewrite, { pattern: built, names: [...names], path: at }) } };
}

const rewriteForm = new RegExp(`^/(?!.*//)(?:[${pchar}/]|\\{[^{}]*\\})*$`);

function compileRewriter(rewrite: string, { pattern, names, path }: { readonly pattern: string; readonly names: readonly string[]; readonly path: string }): Result<RegexRewrite> {
  if (!rewriteForm.test(rewrite)) return fail(path, `"${rewrite}" must begin with "/" and hold literals and variables like {name} only, no empty segment`);
  const unknown = [...rewrite.matchAll(/\{([^}]*)\}/g)].find(([, name = '']) => !names.includes(name));
  if (unknown) return fail(path, `${unknown[0]} is no variable of the path template of the match`);
  const compiled = compileRegexRewrite(`^${pattern}$`, rewrite.replaceAll(/\{([^}]*)\}/g, (_all, name: string) => `\\${names.indexOf(name) + 1}`));
  return compiled.ok ? compiled : fail(path, compiled.error);
}

interface Reason {
  readonly reason: string;
}

/** The template as an RE2 expression. */
function patternOf(template: string, names: Set<string>): string | Reason {
  if (!/^\/[!-~]*$/.test(template)) return { reason: `"${template}" must begin with "/" and hold visible ASCII characters only` };
  // not at a "/" within braces
  const segments = template.slice(1).split(/\/(?![^{]*\})/);
  const state = { rest: false };
  const parts: string[] = [];
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1;
    if (segment === '' && !last) return { reason: `"${template}" has an empty segment` };
    const part = segmentPattern(segment, { names, state, last });
    if (typeof part !== 'string') return { reason: `"${template}": ${part.reason}` };
    parts.push(part);
  }
  return `/${parts.join('/')}`;
}

interface Progress {
  readonly names: Set<string>;
  /** "**" was seen. */
  readonly state: { rest: boolean };
  readonly last: boolean;
}

function segmentPattern(segment: string, progress: Progress): string | Reason {
  const [, operator, suffix = ''] = segmentForm.exec(segment) ?? [];
  if (!segmentForm.test(segment)) return { reason: `"${segment}" must be "*", "**", a variable or a literal` };
  if (operator === undefined) return quoted(suffix);
  if (suffix !== '' && !progress.last) return { reason: `nothing may follow ${operator} within its segment` };
  const pattern = operator.startsWith('{') ? variablePattern(operator, progress) : operatorPattern(operator, progress);
  return typeof pattern === 'string' ? pattern + quoted(suffix) : pattern;
}

function operatorPattern(operator: string, { state }: Progress): string | Reason {
  if (state.rest) return { reason: 'no operator may follow "**"' };
  state.rest = operator === '**';
  return state.rest ? `[${pchar}/]*` : `[${pchar}]+`;
}

function variablePattern(variable: string, progress: Progress): string | Reason {
  const [, name, inner = '*'] = variableForm.exec(variable) ?? [];
  if (name === undefined) return { reason: `"${variable}" is not a variable like {name} or {name=*}` };
  if (progress.names.has(name)) return { reason: `variable "${name}" comes twice` };
  if (progress.names.add(name).size > maxVariables) return { reason: `has more than ${maxVariables} variables` };
  const parts: string[] = [];
  for (const part of inner.split('/')) {
    const operator = part === '*' || part === '**';
    if (!operator && (part === '' || !wholeLiteral.test(part))) return { reason: `"${part}" in "${variable}" must be "*", "**" or a literal` };
    const pattern = operator ? operatorPattern(part, progress) : quoted(part);
    if (typeof pattern !== 'string') return pattern;
    parts.push(pattern);
  }
  return `(${parts.join('/')})`;
}

function quoted(literal: string): string {
  return literal.replaceAll(/[$()+.-]/g, String.raw`\$&`);
}
