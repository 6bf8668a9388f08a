import { generalise, type PathPattern, type Thresholds } from './generalise.ts';
import { isDoubtful, type Observation } from './observation.ts';

/** How much of a request a rule says. */
export type Granularity = 'paths' | 'methods' | 'callers';

export interface RuleOptions {
  readonly granularity: Granularity;
  /** Write hosts, too. */
  readonly hosts: boolean;
  readonly thresholds: Thresholds;
}

export interface SuggestedOperation {
  readonly ports: readonly string[];
  readonly methods?: readonly string[];
  readonly hosts?: readonly string[];
  readonly paths?: readonly string[];
}

/** One rule of an ALLOW policy, and what stands behind it. */
export interface SuggestedRule {
  /** As `principals`, or as `ipBlocks` where callers have none. */
  readonly principals: readonly string[];
  readonly ipBlocks: readonly string[];
  readonly operations: readonly SuggestedOperation[];
  readonly requests: number;
  readonly distinct: number;
  /** Patterns that are wider than what was seen, and how many paths each stands for. */
  readonly widened: readonly { readonly pattern: string; readonly paths: number }[];
}

/** Rules that have all of `observed`; nothing that was refused is let in by widening. Callers that do the same share a rule. */
export function rulesOf(observed: readonly Observation[], refused: readonly Observation[], options: RuleOptions): SuggestedRule[] {
  const rules = new Map<string, SuggestedRule>();
  for (const [caller, own] of Map.groupBy(observed, callerKey)) {
    const { operations, widened } = operationsOf(own, refused.filter((one) => callerKey(one) === caller), options);
    const key = JSON.stringify(operations);
    const { principal = '', sourceIp = '' } = own[0] ?? {};
    const known = rules.get(key);
    rules.set(key, {
      principals: [...(known?.principals ?? []), ...(principal === '' ? [] : [principal])], ipBlocks: [...(known?.ipBlocks ?? []), ...(principal === '' ? [sourceIp] : [])],
      operations, requests: (known?.requests ?? 0) + sum(own), distinct: (known?.distinct ?? 0) + own.length,
      widened: [...new Map([...(known?.widened ?? []), ...widened].map((one) => [one.pattern, one])).values()],
    });
  }
  return [...rules.values()];
}

export function sum(observed: readonly Observation[]): number {
  return observed.reduce((total, { count }) => total + count, 0);
}

function callerKey({ principal, sourceIp }: Observation): string {
  return principal === '' ? `address ${sourceIp}` : principal;
}

interface Operations {
  readonly operations: readonly SuggestedOperation[];
  readonly widened: SuggestedRule['widened'];
}

/** Of one caller. An operation is a product of its lists, so only what has the same port, host and methods shares one. */
function operationsOf(observed: readonly Observation[], refused: readonly Observation[], { granularity, hosts, thresholds }: RuleOptions): Operations {
  const ports = [...new Set(observed.filter(({ protocol }) => granularity === 'callers' || protocol === 'tcp').map(({ port }) => port))].toSorted((a, b) => a - b);
  const bare: SuggestedOperation[] = ports.length === 0 ? [] : [{ ports: ports.map(String) }];
  const http = observed.filter(({ protocol, port }) => protocol === 'http' && !ports.includes(port));
  const widened: PathPattern[] = [];
  const operations = [...Map.groupBy(http, (one) => JSON.stringify([one.port, hosts ? one.host.toLowerCase() : '']))].flatMap(([place, own]): SuggestedOperation[] => {
    const [port, host] = JSON.parse(place) as [number, string];
    const at = { ports: [String(port)], ...(host === '' ? {} : { hosts: [host] }) };
    if (granularity === 'methods') return [{ ...at, methods: sorted(own.map(({ method }) => method)) }];
    const methodsOf = new Map<string, string[]>();
    for (const [method, same] of Map.groupBy(own, (one) => one.method)) {
      const patterns = generalise({
        sound: same.filter((one) => !isDoubtful(one)).map(({ path }) => path), doubtful: same.filter(isDoubtful).map(({ path }) => path),
        refused: refused.filter((one) => one.port === port && one.method === method).map(({ path }) => path),
      }, thresholds);
      widened.push(...patterns.filter(({ kind }) => kind !== 'exact'));
      for (const { pattern } of patterns) methodsOf.set(pattern, [...(methodsOf.get(pattern) ?? []), method]);
    }
    return [...Map.groupBy([...methodsOf], ([, methods]) => sorted(methods).join(' '))].map(([methods, patterns]) => ({ ...at, methods: methods.split(' '), paths: sorted(patterns.map(([pattern]) => pattern)) }));
  });
  return { operations: [...bare, ...operations].toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)), widened: widened.map(({ pattern, paths }) => ({ pattern, paths: paths.length })) };
}

function sorted(texts: readonly string[]): string[] {
  return [...new Set(texts)].toSorted();
}
