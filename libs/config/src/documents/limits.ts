import { Lexer } from 'yaml';
import { withFlowColons } from './flow-colons.ts';

/** What a YAML file may cost. Kubernetes stops at 1.5 MiB per object; a file may hold a few. */
export const yamlLimits = {
  maxBytes: 4 * 1024 * 1024,
  /** Times aliases may multiply the content. */
  maxAliases: 100,
  maxDepth: 64,
  /** Errors reported of one unreadable document; the rest follow from the first. */
  maxErrors: 10,
} as const;

/** Why a value nests too deeply, or undefined. Walks without recursion, so depth cannot hurt it. */
export function depthReason(value: unknown): string | undefined {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > yamlLimits.maxDepth) return `is nested more than ${yamlLimits.maxDepth} levels deep`;
    const seen = new Set<unknown>();
    for (const one of level) if (typeof one === 'object' && one !== null) for (const inner of Object.values(one)) if (typeof inner === 'object') seen.add(inner);
    level = [...seen];
  }
  return undefined;
}

const compact = /^(?:\s|-|\?|:)*$/;

/** Brackets, or "- - - …" on one line, nest deeper than any object does. */
export class NestsTooDeep extends Error {}

/**
 * The tokens of a text, for the parser; throws NestsTooDeep before the token that is too much, because YAML's parser recurses and takes
 * quadratic time on such. (Nesting by indentation costs its author a line per level, so it stays shallow by itself.)
 */
export function* shallowTokens(text: string): Generator<string, void> {
  let flow = 0;
  let indicators = 0;
  for (const token of withFlowColons(new Lexer().lex(text))) {
    if (token === '[' || token === '{') flow++;
    else if (token === ']' || token === '}') flow = Math.max(0, flow - 1);
    else if (token === '---' || token === '...') flow = 0;
    if (token === '-' || token === '?' || token === ':') indicators++;
    else if (!compact.test(token) || token.includes('\n')) indicators = 0;
    if (flow > yamlLimits.maxDepth || indicators > yamlLimits.maxDepth) throw new NestsTooDeep();
    yield token;
  }
}
