import type { AuthorizationCondition, AuthorizationOperation, AuthorizationPolicySpec, AuthorizationRule, AuthorizationSource, Config } from '@meltemi/config';
import type { Asked } from './access.test-support.ts';

/** A second opinion on AuthorizationPolicy, from Istio's documentation and without any of the translation's parts. */
export interface World {
  readonly policies: readonly Config<AuthorizationPolicySpec>[];
  readonly rootNamespace: string;
  readonly workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  /** The mesh's own first. */
  readonly trustDomains: readonly string[];
  readonly tcp: boolean;
}

export interface Opinion {
  readonly allowed: boolean;
  /** "ns[foo]-policy[bar]-rule[0]" of every DENY rule that holds. */
  readonly denying: readonly string[];
}

export function opinionOn(world: World, asked: Asked): Opinion {
  const { workload, rootNamespace } = world;
  const mine = world.policies.filter(({ meta, spec }) =>
    (meta.namespace === rootNamespace || meta.namespace === workload.namespace) &&
    Object.entries(spec.selector?.matchLabels ?? {}).every(([name, value]) => workload.labels[name] === value) &&
    meta.annotations['istio.io/dry-run'] !== 'true');
  const denying = mine.filter(({ spec }) => spec.action === 'DENY').flatMap(({ meta, spec }) =>
    (spec.rules ?? []).flatMap((rule, i) => (holds(rule, false, { world, asked, namespace: meta.namespace }) ? [`ns[${meta.namespace}]-policy[${meta.name}]-rule[${i}]`] : [])));
  const allowing = mine.filter(({ spec }) => spec.action === 'ALLOW');
  const allowed = allowing.length === 0 || allowing.some(({ meta, spec }) => (spec.rules ?? []).some((rule) => holds(rule, true, { world, asked, namespace: meta.namespace })));
  return { allowed: denying.length === 0 && allowed, denying };
}

interface Case {
  readonly world: World;
  readonly asked: Asked;
  /** Of the policy. */
  readonly namespace: string;
}

function holds(rule: AuthorizationRule, allow: boolean, one: Case): boolean {
  if (allow && one.world.tcp && usesHttp(rule)) return false;
  return (
    (rule.from.length === 0 || rule.from.some(({ source }) => sourceHolds(source, one))) &&
    (rule.to.length === 0 || rule.to.some(({ operation }) => operationHolds(operation, one))) &&
    rule.when.every((condition) => conditionHolds(condition, one))
  );
}

function usesHttp(rule: AuthorizationRule): boolean {
  return (
    rule.from.some(({ source }) => source.requestPrincipals ?? source.notRequestPrincipals) ||
    rule.to.some(({ operation: to }) => to.hosts ?? to.notHosts ?? to.methods ?? to.notMethods ?? to.paths ?? to.notPaths) ||
    rule.when.some(({ key }) => key.startsWith('request.'))
  );
}

type Test = (value: string) => boolean;

/** One of the values, if there are any, and none of the others. */
function fits(values: readonly string[] | undefined, others: readonly string[] | undefined, test: Test): boolean {
  return (values === undefined || values.length === 0 || values.some(test)) && !(others ?? []).some(test);
}

function sourceHolds(source: AuthorizationSource, one: Case): boolean {
  const { asked, world } = one;
  return (
    fits(source.principals, source.notPrincipals, (value) => isPrincipal(value, one)) &&
    fits(source.namespaces, source.notNamespaces, (value) => isNamespace(value, asked)) &&
    fits(source.serviceAccounts, source.notServiceAccounts, (value) => isAccount(value, one)) &&
    fits(source.trustDomains, source.notTrustDomains, (value) => isTrustDomain(value, one)) &&
    fits(source.ipBlocks, source.notIpBlocks, (value) => inBlock(peerOf(asked), value)) &&
    fits(source.remoteIpBlocks, source.notRemoteIpBlocks, (value) => inBlock(asked.remote ?? peerOf(asked), value)) &&
    (world.tcp || fits(source.requestPrincipals, source.notRequestPrincipals, (value) => isRequestPrincipal(value, asked)))
  );
}

function operationHolds(operation: AuthorizationOperation, { asked, world }: Case): boolean {
  if (!fits(operation.ports, operation.notPorts, (value) => Number(value) === (asked.port ?? 9080))) return false;
  if (world.tcp) return true;
  const path = (asked.path ?? '/').split('?')[0] ?? '';
  return (
    fits(operation.methods, operation.notMethods, (value) => glob(value, asked.method ?? 'GET')) &&
    fits(operation.hosts, operation.notHosts, (value) => glob(value.toLowerCase(), (asked.host ?? '').toLowerCase())) &&
    fits(operation.paths, operation.notPaths, (value) => (value.includes('{') ? template(value, path) : glob(value, path)))
  );
}

function conditionHolds({ key, values, notValues }: AuthorizationCondition, one: Case): boolean {
  const { asked, world } = one;
  if (world.tcp && key.startsWith('request.')) return true;
  const tests: Readonly<Record<string, Test>> = {
    'source.ip': (value) => inBlock(peerOf(asked), value),
    'remote.ip': (value) => inBlock(asked.remote ?? peerOf(asked), value),
    'destination.ip': (value) => inBlock(asked.destination ?? '10.0.0.1', value),
    'destination.port': (value) => Number(value) === (asked.port ?? 9080),
    'connection.sni': (value) => glob(value, asked.sni ?? ''),
    'source.principal': (value) => isPrincipal(value, one),
    'source.namespace': (value) => isNamespace(value, asked),
    'source.serviceAccount': (value) => isAccount(value, one),
    'source.trustDomain': (value) => isTrustDomain(value, one),
    'request.auth.principal': (value) => isRequestPrincipal(value, asked),
    'request.auth.audiences': (value) => saysClaim(asked.claims?.['aud'], value),
    'request.auth.presenter': (value) => saysClaim(asked.claims?.['azp'], value),
  };
  const header = /^request\.headers\[(.*)\]$/.exec(key)?.[1]?.toLowerCase();
  const claim = /^request\.auth\.claims\[(.*)\]$/.exec(key)?.[1]?.split('][');
  const test = tests[key] ?? (header === undefined ? undefined : (value: string) => saysHeader(asked.headers?.[header], value)) ?? (claim ? (value: string) => saysClaim(inside(asked.claims, claim), value) : () => false);
  return fits(values, notValues, test);
}

/** "*" is something, "a*" and "*a" one end, else all of it. */
function glob(pattern: string, text: string): boolean {
  if (pattern === '*') return text.length > 0;
  if (pattern.startsWith('*')) return text.endsWith(pattern.slice(1));
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
}

/** {*} is a segment, {**} what is left, if anything. */
function template(pattern: string, path: string): boolean {
  const parts = pattern.split('/');
  const segments = path.split('/');
  const rest = parts.indexOf('{**}');
  if (rest < 0 ? parts.length !== segments.length : segments.length < parts.length) return false;
  const same = (part: string | undefined, segment: string | undefined) => (part === '{*}' ? segment !== '' && segment !== undefined : part === segment);
  const tail = rest < 0 ? [] : parts.slice(rest + 1);
  return (
    parts.slice(0, rest < 0 ? parts.length : rest).every((part, i) => same(part, segments[i])) &&
    tail.every((part, i) => same(part, segments[segments.length - tail.length + i]))
  );
}

function identityOf({ principal }: Asked): { readonly domain: string; readonly namespace: string; readonly account: string } | undefined {
  const [domain, , namespace, , account] = principal?.split('/') ?? [];
  return domain !== undefined && namespace !== undefined && account !== undefined ? { domain, namespace, account } : undefined;
}

function isPrincipal(pattern: string, { asked, world }: Case): boolean {
  if (asked.principal === undefined) return false;
  const [domain = '', ...rest] = pattern.split('/');
  const own = world.trustDomains.includes(domain) || domain === 'cluster.local';
  if (rest.length !== 4 || !own) return glob(pattern, asked.principal);
  const slash = asked.principal.indexOf('/');
  return world.trustDomains.includes(asked.principal.slice(0, slash)) && glob(rest.join('/'), asked.principal.slice(slash + 1));
}

function isNamespace(pattern: string, asked: Asked): boolean {
  const namespace = identityOf(asked)?.namespace;
  return namespace !== undefined && (pattern === '*' || glob(pattern, namespace));
}

function isAccount(written: string, { asked, namespace }: Case): boolean {
  const identity = identityOf(asked);
  const full = written.includes('/') ? written : `${namespace}/${written}`;
  return identity !== undefined && `${identity.namespace}/${identity.account}` === full;
}

function isTrustDomain(pattern: string, { asked, world }: Case): boolean {
  const domain = identityOf(asked)?.domain;
  if (domain === undefined) return false;
  return glob(pattern, domain) || (world.trustDomains.includes(pattern) && world.trustDomains.includes(domain));
}

function isRequestPrincipal(pattern: string, { claims }: Asked): boolean {
  const [issuer, subject] = [claims?.['iss'], claims?.['sub']];
  if (typeof issuer !== 'string' || typeof subject !== 'string') return false;
  if (pattern === '*') return issuer !== '' && subject !== '';
  return glob(pattern, `${issuer}/${subject}`);
}

function saysClaim(claim: unknown, pattern: string): boolean {
  return (Array.isArray(claim) ? claim : [claim]).some((value) => typeof value === 'string' && glob(pattern, value));
}

function saysHeader(value: string | undefined, pattern: string): boolean {
  return value !== undefined && (pattern === '*' || glob(pattern, value));
}

function inside(claims: Asked['claims'], path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined), claims);
}

function peerOf(asked: Asked): string {
  return asked.source ?? '10.1.0.1';
}

function inBlock(ip: string, block: string): boolean {
  const [base = '', bits = '32'] = block.split('/');
  const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits));
  return Math.floor(number(ip) / size) === Math.floor(number(base) / size);
}
