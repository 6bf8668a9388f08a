import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { RBAC } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection, type TlsInfo } from '@meltemi/http';
import { compileRbac, type AccessControl } from '../index.ts';
import { AffixTable } from './affix-table.ts';

type Json = Record<string, unknown>;

/** Sets of policies, each asked about twenty requests. INDEX_SETS=300 takes 40 s. */
const sets = Number(process.env['INDEX_SETS'] ?? 20);
const requestsPerSet = 20;

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

const random = randomOf(Number(process.env['INDEX_SEED'] ?? 7));
const below = (count: number) => Math.floor(random() * count);
const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
const some = <T>(make: () => T, most: number): T[] => Array.from({ length: 1 + below(most) }, make);

const paths = ['/', '/a', '/a/b', '/a/b/c', '/ab', '/b', '/B', '/a/', '/x/c', ''];
const hosts = ['a.test', 'A.test', 'b.a.test', 'test', 'x'];
const names = ['spiffe://td/ns/a/sa/x', 'spiffe://td/ns/b/sa/x', 'spiffe://td/ns/a/sa/y/more', 'spiffe://old/ns/a/sa/x', 'dns.test', 'CN=ann'];
const addresses = ['10.0.0.1', '10.0.1.1', '10.1.0.1', '192.0.2.9', '2001:db8::1', '2001:db8:1::1'];

function text(values: readonly string[]): Json {
  const value = pick(values);
  const cut = below(value.length + 1);
  const kinds: Json[] = [{ exact: value }, { exact: value }, { exact: value, ignoreCase: true }, { prefix: value.slice(0, cut) }, { suffix: value.slice(cut) }, { suffix: value.slice(cut), ignoreCase: true }, { prefix: value.slice(0, cut), ignoreCase: true }, { contains: value.slice(cut) }, { safeRegex: { regex: '.+' } }];
  return pick(kinds);
}

const range = (): Json => {
  const addressPrefix = pick(addresses);
  return { addressPrefix, prefixLen: below(addressPrefix.includes(':') ? 129 : 33) };
};
const header = (): Json => pick([{ name: ':authority', stringMatch: text(hosts) }, { name: ':method', stringMatch: { exact: pick(['GET', 'PUT']) } }, { name: 'x-a', stringMatch: text(['1', '22']), invertMatch: random() < 0.2, treatMissingHeaderAsEmpty: random() < 0.2 }, { name: 'x-a', presentMatch: true }, { name: 'x-a', exactMatch: '1' }, { name: 'x-a', prefixMatch: '2' }, { name: 'x-a', stringMatch: text(['é', 'É2']) }]);
const claim = (): Json => {
  const value = { stringMatch: text(['ann', 'bob']) };
  return { filter: 'jwt', path: [{ key: 'sub' }], invert: random() < 0.1, value: pick<Json>([value, { listMatch: { oneOf: value } }, { orMatch: { valueMatchers: [{ listMatch: { oneOf: value } }, value] } }]) };
};
const template = (): Json => ({ name: 't', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', pathTemplate: pick(['/*/b', '/a/**', '/a/b', '/**', '/a/{x}/c']) } });
const principalName = (): Json => ({ principalName: pick<Json>([text(names), text(names), { safeRegex: { regex: String.raw`.*/ns/a/.*` } }, { safeRegex: { regex: String.raw`.*/ns/b.*/.*` } }, { safeRegex: { regex: 'spiffe://.+/ns/a/(.+/|)sa/x(/.+)?' } }]) });

function permission(depth = 0): Json {
  const leaf = () => pick<() => Json>([
    () => ({ urlPath: { path: text(paths) } }), () => ({ urlPath: { path: text(paths) } }), () => ({ header: header() }), () => ({ destinationPort: pick([80, 90]) }), () => ({ destinationPortRange: { start: 80, end: pick([81, 95]) } }),
    () => ({ destinationIp: range() }), () => ({ requestedServerName: text(hosts) }), () => ({ metadata: claim() }), () => ({ uriTemplate: template() }), () => ({ any: true }),
  ])();
  const roll = depth > 3 ? 1 : random();
  if (roll < 0.2) return { andRules: { rules: some(() => permission(depth + 1), 3) } };
  if (roll < 0.4) return { orRules: { rules: some(() => permission(depth + 1), random() < 0.2 ? 30 : 3) } };
  return roll < 0.45 ? { notRule: permission(depth + 1) } : leaf();
}

function principal(depth = 0): Json {
  const leaf = () => pick<() => Json>([
    () => ({ authenticated: principalName() }), () => ({ authenticated: principalName() }), () => ({ authenticated: {} }), () => ({ sourceIp: range() }), () => ({ directRemoteIp: range() }), () => ({ remoteIp: range() }),
    () => ({ header: header() }), () => ({ urlPath: { path: text(paths) } }), () => ({ metadata: claim() }), () => ({ any: true }),
  ])();
  const roll = depth > 3 ? 1 : random();
  if (roll < 0.2) return { andIds: { ids: some(() => principal(depth + 1), 3) } };
  if (roll < 0.4) return { orIds: { ids: some(() => principal(depth + 1), random() < 0.2 ? 30 : 3) } };
  return roll < 0.45 ? { notId: principal(depth + 1) } : leaf();
}

function tlsOf(): TlsInfo | null {
  if (random() < 0.3) return null;
  const [uri, dns] = [pick(names), pick(names)];
  return {
    version: '', cipher: '', sni: '', alpn: '', peerPresented: true, peerValidated: random() < 0.9, peerSubject: random() < 0.3 ? 'CN=ann' : '', peerIssuer: '', peerUriSans: random() < 0.8 ? [uri] : [], peerDnsSans: random() < 0.2 ? [dns] : [],
    peerSerial: '', peerFingerprint256: '', peerCertPem: '', peerChainPem: '', peerCertValidFromMs: 0, peerCertValidToMs: 0, localSubject: '', localUriSans: [], localDnsSans: [],
  };
}

function asked(): StreamInfo {
  const at = (ip: string, port: number) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);
  const info = new StreamInfo({ ...unknownConnection, localAddress: at(pick(addresses), pick([80, 90, 91])), directRemoteAddress: at(pick(addresses), 4000), requestedServerName: pick(['', ...hosts]), tls: tlsOf() }, 0, 0);
  info.downstreamRemoteAddress = at(pick(addresses), 0);
  if (random() < 0.9) info.request = new RequestHead(pick(['GET', 'PUT', 'POST']), `${pick(paths)}${pick(['', '?q', '#f'])}`, pick(['', ...hosts]), HeaderMap.from(random() < 0.5 ? { 'x-a': pick(['1', '22', '', 'Ã©']) } : {}));
  if (random() < 0.6) info.setMetadata('jwt', 'sub', pick<unknown>(['ann', ['bob', 'ann'], [], 7, [['ann']]]));
  return info;
}

const control = (policies: Record<string, Json>): AccessControl => {
  const compiled = compileRbac(RBAC.decode(jsonToBinary('envoy.config.rbac.v3.RBAC', { policies })), 'rules');
  assert.ok(compiled.ok, JSON.stringify(compiled));
  return compiled.value;
};

test(`${sets * requestsPerSet} times the index names the policy that trying each alone, in order, finds`, () => {
  let found = 0;
  for (let set = 0; set < sets; set++) {
    const policies = Object.fromEntries(Array.from({ length: 9 + below(60) }, (_, i) => [`p${i}`, { permissions: some(permission, 3), principals: some(principal, 3) }]));
    const indexed = control(policies);
    // one permission and one principal each: too few for any index but within them
    const alone = Object.keys(policies).sort().map((name) => ({ name, parts: (policies[name]?.permissions ?? []).flatMap((one) => (policies[name]?.principals ?? []).map((other) => control({ only: { permissions: [one], principals: [other] } }))) }));
    for (let i = 0; i < requestsPerSet; i++) {
      const info = asked();
      const expected = alone.find(({ parts }) => parts.some((part) => part.decide(info).policy !== null))?.name ?? null;
      if (expected !== null) found += 1;
      assert.equal(indexed.decide(info).policy, expected, JSON.stringify([info.request, info.connection, info.dynamicMetadata, policies]));
    }
  }
  assert.ok(found > sets, `policies matched ${found} times`);
});

test('a set of many values answers as each value alone', () => {
  for (let set = 0; set < sets; set++) {
    const values = Array.from({ length: 12 + below(40) }, permission);
    const together = control({ p: { permissions: [{ orRules: { rules: values } }], principals: [{ any: true }] } });
    const apart = values.map((value) => control({ p: { permissions: [value], principals: [{ any: true }] } }));
    for (let i = 0; i < 5; i++) {
      const info = asked();
      assert.equal(together.decide(info).policy !== null, apart.some((one) => one.decide(info).policy !== null), JSON.stringify([info.request, values]));
    }
  }
});

/** Counts how often the path is read: each rule that is tried reads it. */
class CountedHead extends RequestHead {
  reads = 0;
  override field(name: string): string | null {
    this.reads += 1;
    return super.field(name);
  }
}

test('of 10,000 policies that differ by host only those are tried that may match', () => {
  const policies = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`p${i}`, { permissions: [{ andRules: { rules: [{ header: { name: ':method', stringMatch: { exact: 'GET' } } }, { header: { name: ':authority', stringMatch: { exact: `h${i}.test`, ignoreCase: true } } }] } }], principals: [{ any: true }] }]));
  const many = control(policies);
  const info = asked();
  const head = new CountedHead('GET', '/', 'H77.test', HeaderMap.from({}));
  info.request = head;
  assert.equal(many.decide(info).policy, 'p77');
  assert.ok(head.reads < 10, `${head.reads} fields were read`);
});

test('all keys that begin or end a text are found, the longest first', () => {
  for (const backwards of [false, true]) {
    const keys = [...new Set(Array.from({ length: 200 }, () => Array.from({ length: below(5) }, () => pick(['a', 'b', '/'])).join('')))];
    const table = new AffixTable(keys.map((key) => [key, key] as const), backwards);
    for (let i = 0; i < 200; i++) {
      const value = Array.from({ length: below(7) }, () => pick(['a', 'b', '/', 'c'])).join('');
      const found: string[] = [];
      for (let at = table.longest(value); at >= 0; at = table.shorter(at)) found.push(table.value(at) ?? '');
      const expected = keys.filter((key) => (backwards ? value.endsWith(key) : value.startsWith(key))).sort((a, b) => b.length - a.length);
      assert.deepEqual(found, expected, `${value} backwards: ${backwards}`);
    }
  }
});
