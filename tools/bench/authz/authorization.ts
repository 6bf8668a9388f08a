import { compileRbac, type AccessControl } from '@meltemi/authz';
import { jsonToBinary } from '@meltemi/api';
import { RBAC } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { filterJson } from '@meltemi/proxy/testing';
import { spread, spreadText, table } from '../statistics.ts';
import { InMemory, certified } from './in-memory.ts';
import { askedOf, rbacOf, shapes, type Asked, type Shape } from './policies.ts';
import { measured, type Contestant } from './rounds.ts';

export interface AuthorizationResult {
  readonly shape: string;
  readonly policies: number;
  /** CPU nanoseconds, one number per round. */
  readonly request: readonly number[];
  readonly check: readonly number[];
  readonly compileMs: number;
  readonly heapBytes: number;
}

interface Settings {
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly milliseconds: number;
}

/** Spread over the policies of the largest set, so that all sizes see as many different requests as fit them. */
const requests = 1_000;

/** Every shape of policies in every size: a request through the in-memory proxy, and the check alone. */
export function measureAuthorization(settings: Settings): AuthorizationResult[] {
  return shapes.flatMap((shape) => measureShape(shape, settings));
}

function measureShape(shape: Shape, { sizes, rounds, milliseconds }: Settings): AuthorizationResult[] {
  const prepared = sizes.map((policies) => ({ policies, ...prepare(shape, policies) }));
  const contestants = prepared.flatMap(({ policies, through, alone }): Contestant[] => [
    { name: `request ${policies}`, per: through.requests, run: () => through.round() }, { name: `check ${policies}`, per: requests, run: alone },
  ]);
  const results = measured(contestants, { rounds, milliseconds });
  const of = (name: string) => results.get(name) ?? [];
  return prepared.map(({ policies, compileMs, heapBytes }) => ({ shape: shape.name, policies, request: of(`request ${policies}`), check: of(`check ${policies}`), compileMs, heapBytes }));
}

function prepare(shape: Shape, policies: number) {
  const json = rbacOf(shape, policies);
  const message = RBAC.decode(jsonToBinary('envoy.config.rbac.v3.RBAC', json));
  const asked = askedOf(shape, policies, requests);
  globalThis.gc?.();
  const heap = process.memoryUsage().heapUsed;
  const started = performance.now();
  const compiled = compileRbac(message, 'rules');
  const compileMs = performance.now() - started;
  globalThis.gc?.();
  const heapBytes = process.memoryUsage().heapUsed - heap;
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.error));
  const through = new InMemory([filterJson('envoy.filters.http.rbac', 'envoy.extensions.filters.http.rbac.v3.RBAC', { rules: json })], asked.map((one) => ({ asked: one })));
  return { compileMs, heapBytes, through, alone: alone(compiled.value, asked, shape) };
}

function alone(control: AccessControl, asked: readonly Asked[], shape: Shape): () => void {
  const infos = asked.map((one) => infoOf(one));
  return () => {
    for (const info of infos) if (!control.decide(info).allowed) throw new Error(`${shape.name}: not let through`);
  };
}

function infoOf({ path, host, principal }: Asked): StreamInfo {
  const info = new StreamInfo({ ...unknownConnection, tls: certified(principal) }, 0, 0);
  info.request = new RequestHead('GET', path, host, HeaderMap.from({}));
  return info;
}

export function authorizationTable(results: readonly AuthorizationResult[]): string {
  const rows = results.map(({ shape, policies, request, check, compileMs, heapBytes }) => {
    const one = results.find((other) => other.shape === shape && other.policies === 1) ?? results.find((other) => other.shape === shape);
    const growth = (mine: readonly number[], first: readonly number[] = []) => `${spread(mine.map((value, round) => value / (first[round] ?? Number.NaN))).median.toFixed(2)} ×`;
    return [shape, String(policies), spreadText(spread(request), 0), growth(request, one?.request), spreadText(spread(check), 0), growth(check, one?.check), compileMs.toFixed(0), (heapBytes / 1024).toFixed(0)];
  });
  return table([['policies differ by', 'count', 'request ns', 'to one', 'check alone ns', 'to one', 'compile ms', 'heap kB'], ...rows]);
}
