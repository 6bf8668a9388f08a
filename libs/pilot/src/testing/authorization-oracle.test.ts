import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RBAC as HttpRbac } from '@meltemi/api/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts';
import { RBAC as NetworkRbac } from '@meltemi/api/gen/envoy/extensions/filters/network/rbac/v3/rbac.ts';
import { decode, type AuthorizationPolicySpec, type Config } from '@meltemi/config';
import { rbac, tcpRbac } from '../translate/features/rbac/rbac.ts';
import { verdict, type AccessFilter, type Asked } from './access.test-support.ts';
import { opinionOn, type World } from './authorization-oracle.test-support.ts';
import { meshOf, productpage } from './mesh.test-support.ts';

/** Pairs of policies and requests. ORACLE_PAIRS=100000 takes some ten seconds. */
const pairs = Number(process.env['ORACLE_PAIRS'] ?? 2_000);
const seed = Number(process.env['ORACLE_SEED'] ?? 1);
const requestsPerMesh = 10;

/** Mulberry32. */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = randomOf(seed);
const chance = (share: number) => random() < share;
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const some = <T>(list: readonly T[], most = 2): T[] => Array.from({ length: 1 + Math.floor(random() * most) }, () => pick(list));

const vocabulary = {
  principals: ['td/ns/a/sa/x', 'old/ns/a/sa/x', 'cluster.local/ns/b/sa/y', 'foreign/ns/a/sa/x', '*/ns/a/sa/x', '*/sa/y', 'td/ns/b/*', 'old/ns/b/sa/*', '*'],
  namespaces: ['a', 'b', '*', 'a*', '*b'],
  serviceAccounts: ['x', 'a/x', 'b/y', 'default/x'],
  trustDomains: ['td', 'old', 'foreign', 'fo*', '*d', '*'],
  ipBlocks: ['10.1.0.1', '10.1.0.0/24', '10.0.0.0/8', '192.0.2.0/25'],
  requestPrincipals: ['i/ann', 'i/*', '*/ann', 'i2/bob', '*'],
  hosts: ['shop.test', 'SHOP.*', '*.test', '*'],
  methods: ['GET', 'PUT', 'P*', '*'],
  paths: ['/', '/a', '/a*', '*c', '/{*}/b', '/a/{**}', '/{**}/c', '*'],
  ports: ['9080', '90'],
} as const;

const conditions: readonly (readonly [string, readonly string[]])[] = [
  ['source.ip', vocabulary.ipBlocks], ['remote.ip', vocabulary.ipBlocks], ['destination.ip', ['10.0.0.1', '10.0.0.0/30', '10.9.0.0/16']], ['destination.port', vocabulary.ports], ['connection.sni', ['a.test', '*.test', '*']],
  ['source.principal', vocabulary.principals], ['source.namespace', vocabulary.namespaces], ['source.serviceAccount', vocabulary.serviceAccounts], ['source.trustDomain', vocabulary.trustDomains],
  ['request.auth.principal', vocabulary.requestPrincipals], ['request.auth.audiences', ['shop', 's*', '*']], ['request.auth.presenter', ['app', '*']],
  ['request.headers[X-A]', ['1', '2*', '*']], ['request.auth.claims[groups]', ['ops', 'd*', '*']], ['request.auth.claims[realm][roles]', ['admin', '*n']],
];

/** "a", or with a coin "notA". */
const named = (field: string) => (chance(0.3) ? `not${field[0]?.toUpperCase()}${field.slice(1)}` : field);

function source(): object {
  const account = chance(0.2);
  const fields = account ? (['serviceAccounts', 'ipBlocks', 'trustDomains'] as const) : (['principals', 'namespaces', 'trustDomains', 'ipBlocks', 'remoteIpBlocks', 'requestPrincipals'] as const);
  const of = (field: (typeof fields)[number]) => (field === 'remoteIpBlocks' ? vocabulary.ipBlocks : vocabulary[field as keyof typeof vocabulary]);
  return Object.fromEntries(some<(typeof fields)[number]>(fields).map((field) => [named(field), some<string>(of(field))]));
}

function operation(): object {
  return Object.fromEntries(some(['hosts', 'methods', 'paths', 'ports'] as const).map((field) => [named(field), some<string>(vocabulary[field])]));
}

function condition(): object {
  const [key, values] = pick(conditions);
  return chance(0.3) ? { key, notValues: some(values) } : chance(0.2) ? { key, values: some(values), notValues: some(values) } : { key, values: some(values) };
}

function rule(): object {
  return {
    ...(chance(0.5) ? { from: some([0]).map(() => ({ source: source() })) } : {}), ...(chance(0.5) ? { to: some([0]).map(() => ({ operation: operation() })) } : {}), ...(chance(0.4) ? { when: some([0]).map(condition) } : {}),
  };
}

function policy(index: number): Config<AuthorizationPolicySpec> {
  const action = pick(['ALLOW', 'ALLOW', 'DENY', 'AUDIT'] as const);
  const rules = chance(0.1) && action !== 'DENY' ? {} : { rules: some([0], 3).map(rule) };
  const annotations = chance(0.1) && action !== 'AUDIT' ? { annotations: { 'istio.io/dry-run': 'true' } } : {};
  const selector = chance(0.3) ? { selector: { matchLabels: pick([{ app: 'productpage' }, { app: 'reviews' }, { app: 'productpage', version: 'v1' }]) } } : {};
  const key = { group: 'security.istio.io', kind: 'AuthorizationPolicy', namespace: pick(['default', 'default', 'istio-system', 'other']), name: `p${index}` };
  const content = { apiVersion: 'security.istio.io/v1', kind: key.kind, metadata: { name: key.name, namespace: key.namespace, ...annotations }, spec: { action, ...selector, ...rules } };
  const decoded = decode({ key, apiVersion: content.apiVersion, content });
  assert.ok(decoded.ok, JSON.stringify([decoded, content]));
  return decoded.value.config as Config<AuthorizationPolicySpec>;
}

function request(): Asked {
  const maybe = <K extends keyof Asked>(name: K, values: readonly NonNullable<Asked[K]>[], share = 0.7) => (chance(share) ? { [name]: pick(values) } : {});
  return {
    ...maybe('method', ['GET', 'PUT', 'POST']), ...maybe('path', ['/', '/a', '/a?x', '/a/b', '/a/', '/x/b', '/a/b/c', '//c', '/c']), ...maybe('host', ['shop.test', 'SHOP.Test', 'other', 'a.test']),
    ...maybe('principal', ['td/ns/a/sa/x', 'old/ns/a/sa/x', 'foreign/ns/a/sa/x', 'td/ns/b/sa/y', 'cluster.local/ns/b/sa/y', 'td/ns/default/sa/x']),
    ...maybe('source', ['10.1.0.1', '10.1.0.7', '192.0.2.1', '192.0.2.200']), ...maybe('remote', ['10.1.0.1', '192.0.2.5', '198.51.100.1'], 0.3), ...maybe('destination', ['10.0.0.1', '10.9.1.1'], 0.3), ...maybe('port', [9080, 90]),
    ...maybe('sni', ['a.test', 'b'], 0.4), ...maybe('headers', [{ 'x-a': '1' }, { 'x-a': '22' }, { 'x-b': '1' }], 0.5),
    ...maybe('claims', [{ iss: 'i', sub: 'ann', aud: ['shop', 'x'], azp: 'app', groups: ['ops'] }, { iss: 'i2', sub: 'bob', aud: 'bank', groups: 'dev', realm: { roles: ['admin'] } }, { iss: 'i', groups: [] }], 0.5),
  };
}

const proxy = productpage();
const domains = { trustDomain: 'td', trustDomainAliases: ['old'] };

function filtersOf(policies: readonly Config[], tcp: boolean): AccessFilter[] {
  const push = meshOf(policies, domains);
  const context = { push, proxy, mesh: push.mesh, direction: 'inbound' as const };
  const built = tcp ? tcpRbac(context) : [rbac.filter(context) ?? []].flat();
  return built.map(({ configType }) => {
    const bytes = configType?.$case === 'typedConfig' ? configType.value.value : new Uint8Array(0);
    return tcp ? NetworkRbac.decode(bytes) : HttpRbac.decode(bytes);
  });
}

test(`${pairs} times the compiled RBAC and a reading of the documentation say the same`, () => {
  const outcomes = { allowed: 0, denied: 0 };
  for (let done = 0; done < pairs; done += requestsPerMesh) {
    const policies = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, i) => policy(i));
    const tcp = chance(0.3);
    const filters = filtersOf(policies, tcp);
    const world: World = { policies, rootNamespace: 'istio-system', workload: { namespace: 'default', labels: proxy.labels }, trustDomains: ['td', 'old'], tcp };
    for (let i = 0; i < requestsPerMesh; i++) {
      const asked = request();
      // what is not said has the same default for both
      const whole: Asked = { host: 'productpage:9080', ...asked };
      const said = verdict(filters, whole, tcp);
      const opinion = opinionOn(world, whole);
      const because = () => `${tcp ? 'TCP ' : ''}${JSON.stringify(whole)}\n${policies.map(({ meta, spec }) => JSON.stringify([meta.namespace, meta.name, meta.annotations, spec])).join('\n')}\nRBAC: ${said}`;
      assert.equal(said === 'allowed', opinion.allowed, because());
      if (opinion.denying.length > 0) assert.ok(opinion.denying.some((name) => said.includes(`[${name}]`)), because());
      outcomes[opinion.allowed ? 'allowed' : 'denied'] += 1;
    }
  }
  const rarer = Math.min(outcomes.allowed, outcomes.denied) / (outcomes.allowed + outcomes.denied);
  assert.ok(rarer > 0.1, `both outcomes are common: ${JSON.stringify(outcomes)}`);
});
