import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeshConfigSpec } from '@meltemi/config';
import { accessFilters, verdict, type Asked } from '../../../testing/access.test-support.ts';
import { bookinfo, configsOf, meshOf, productpage } from '../../../testing/mesh.test-support.ts';

const base = bookinfo();

/** "name [namespace] [dry-run]": spec in YAML's flow style. */
type Policies = Readonly<Record<string, string>>;

function yamlOf(policies: Policies): string {
  return Object.entries(policies).map(([title, spec]) => {
    const [name = '', namespace = 'default', ...marks] = title.split(' ');
    return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, namespace: ${namespace}, annotations: {${marks.includes('dry-run') ? 'istio.io/dry-run: "true"' : ''}}}\nspec: ${spec}\n`;
  }).join('---\n');
}

function filtersFor(policies: Policies, { tcp = false, mesh = {} }: { readonly tcp?: boolean; readonly mesh?: Partial<MeshConfigSpec> } = {}) {
  const push = meshOf([...base, ...configsOf(yamlOf(policies))], mesh);
  return accessFilters(push, productpage(), { tcp, chain: ({ name }) => (tcp ? name === 'virtualInbound' : name === '0.0.0.0_9080') });
}

function rows(title: string, policies: Policies, options: { readonly tcp?: boolean; readonly mesh?: Partial<MeshConfigSpec>; readonly allowed?: readonly Asked[]; readonly denied?: readonly Asked[] }): void {
  test(title, () => {
    const filters = filtersFor(policies, options);
    for (const asked of options.allowed ?? []) assert.equal(verdict(filters, asked, options.tcp), 'allowed', JSON.stringify(asked));
    for (const asked of options.denied ?? []) assert.match(verdict(filters, asked, options.tcp), /^rbac_access_denied_matched_policy\[/, JSON.stringify(asked));
  });
}

const allow = (rule: string) => ({ p: `{rules: [${rule}]}` });
const sleep = 'cluster.local/ns/default/sa/sleep';

rows('without policies everything is allowed', {}, { allowed: [{}, { principal: sleep }] });
rows('an empty ALLOW policy denies everything', { p: '{}' }, { denied: [{}, { principal: sleep }] });
rows('an ALLOW policy with no rules listed denies everything', { p: '{action: ALLOW, rules: []}' }, { denied: [{}] });
rows('an empty rule allows everything', allow('{}'), { allowed: [{}, { method: 'POST' }] });
rows('rules are alternatives', { p: '{rules: [{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {methods: [PUT]}}]}]}' }, { allowed: [{ method: 'GET' }, { method: 'PUT' }], denied: [{ method: 'POST' }] });
rows('one ALLOW policy of several is enough', { a: '{}', b: '{rules: [{to: [{operation: {methods: [GET]}}]}]}' }, { allowed: [{ method: 'GET' }], denied: [{ method: 'POST' }] });
rows('DENY goes before ALLOW', { a: '{rules: [{}]}', d: '{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}' }, { allowed: [{ path: '/' }], denied: [{ path: '/admin' }] });
rows('AUDIT and dry runs deny nothing', { a: '{action: AUDIT, rules: [{}]}', 'd default dry-run': '{action: DENY, rules: [{}]}', 'l default dry-run': '{rules: []}' }, { allowed: [{}] });

rows('from, to and when must all hold; several of each are alternatives', allow('{from: [{source: {namespaces: [a]}}, {source: {principals: ["cluster.local/ns/b/sa/x"]}}], to: [{operation: {methods: [GET]}}, {operation: {paths: [/p]}}], when: [{key: "request.headers[x-a]", values: ["1"]}]}'), {
  allowed: [
    { principal: 'cluster.local/ns/a/sa/y', headers: { 'x-a': '1' } },
    { principal: 'cluster.local/ns/b/sa/x', method: 'POST', path: '/p', headers: { 'x-a': '1' } },
  ],
  denied: [
    { principal: 'cluster.local/ns/a/sa/y' }, { principal: 'cluster.local/ns/c/sa/y', headers: { 'x-a': '1' } }, { headers: { 'x-a': '1' } },
    { principal: 'cluster.local/ns/a/sa/y', method: 'POST', headers: { 'x-a': '1' } },
  ],
});

// Sources
rows('principals: exact, by prefix, by suffix, any', allow('{from: [{source: {principals: ["cluster.local/ns/default/sa/sleep", "td/ns/a/*", "*/sa/bot"]}}]}'), {
  allowed: [{ principal: sleep }, { principal: 'td/ns/a/sa/x' }, { principal: 'other/ns/z/sa/bot' }],
  denied: [{}, { principal: 'cluster.local/ns/default/sa/sleepy' }, { principal: 'td/ns/ab/sa/x' }],
});
rows('"*" as a principal is whoever has one', allow('{from: [{source: {principals: ["*"]}}]}'), { allowed: [{ principal: sleep }], denied: [{}] });
rows('notPrincipals', allow('{from: [{source: {notPrincipals: ["cluster.local/ns/default/sa/sleep"]}}]}'), { allowed: [{}, { principal: 'cluster.local/ns/default/sa/web' }], denied: [{ principal: sleep }] });
rows('namespaces, with wildcards', allow('{from: [{source: {namespaces: [a, "b-*", "*-c"]}}]}'), {
  allowed: [{ principal: 'td/ns/a/sa/x' }, { principal: 'td/ns/b-1/sa/x' }, { principal: 'td/ns/9-c/sa/x' }], denied: [{}, { principal: 'td/ns/ab/sa/x' }, { principal: 'td/ns/x/sa/a' }],
});
rows('notNamespaces denies no plaintext', allow('{from: [{source: {notNamespaces: [a]}}]}'), { allowed: [{}, { principal: 'td/ns/b/sa/x' }], denied: [{ principal: 'td/ns/a/sa/x' }] });
rows('service accounts, of the policy\'s namespace when none is said', allow('{from: [{source: {serviceAccounts: [sleep, a/bot]}}]}'), {
  allowed: [{ principal: sleep }, { principal: 'other-td/ns/default/sa/sleep' }, { principal: 'td/ns/a/sa/bot' }],
  denied: [{}, { principal: 'td/ns/b/sa/sleep' }, { principal: 'td/ns/default/sa/sleep-x' }, { principal: 'td/ns/a/sa/sleep' }],
});
rows('notServiceAccounts', allow('{from: [{source: {notServiceAccounts: [a/bot]}}]}'), { allowed: [{}, { principal: sleep }], denied: [{ principal: 'td/ns/a/sa/bot' }] });
rows('trust domains: exact, by prefix and suffix', allow('{from: [{source: {trustDomains: [td, "eu-*", "*.corp"]}}]}'), {
  allowed: [{ principal: 'td/ns/a/sa/x' }, { principal: 'eu-1/ns/a/sa/x' }, { principal: 'a.corp/ns/a/sa/x' }], denied: [{}, { principal: 'td2/ns/a/sa/x' }, { principal: 'a/ns/td/sa/x' }, { principal: 'xeu-1/ns/a/sa/x' }],
});
rows('notTrustDomains', allow('{from: [{source: {notTrustDomains: [td]}}]}'), { allowed: [{}, { principal: sleep }], denied: [{ principal: 'td/ns/a/sa/x' }] });
rows('ipBlocks are of the TCP peer', allow('{from: [{source: {ipBlocks: ["10.1.0.0/16", "2001:db8::1"]}}]}'), { allowed: [{ source: '10.1.2.3' }, { source: '2001:db8::1' }], denied: [{ source: '10.2.0.1', remote: '10.1.0.1' }, { source: '2001:db8::2' }] });
rows('notIpBlocks', allow('{from: [{source: {notIpBlocks: [10.1.0.1]}}]}'), { allowed: [{ source: '10.1.0.2' }], denied: [{ source: '10.1.0.1' }] });
rows('remoteIpBlocks are of whom x-forwarded-for names', allow('{from: [{source: {remoteIpBlocks: ["198.51.100.0/24"], notRemoteIpBlocks: [198.51.100.9]}}]}'), {
  allowed: [{ remote: '198.51.100.1' }], denied: [{ source: '198.51.100.1', remote: '10.1.0.1' }, { remote: '198.51.100.9' }],
});
rows('request principals: issuer and subject', allow('{from: [{source: {requestPrincipals: ["https://a.example/ann", "b/*", "*/root"]}}]}'), {
  allowed: [{ claims: { iss: 'https://a.example', sub: 'ann' } }, { claims: { iss: 'b', sub: 'x' } }, { claims: { iss: 'anybody', sub: 'root' } }],
  denied: [{}, { claims: { iss: 'https://a.example', sub: 'bob' } }, { claims: { iss: 'b' } }, { claims: { sub: 'root' } }, { claims: { iss: 'c', sub: 'x' } }],
});
rows('"*" as a request principal is any good token', allow('{from: [{source: {requestPrincipals: ["*"]}}]}'), { allowed: [{ claims: { iss: 'a', sub: 'b' } }], denied: [{}, { claims: { iss: 'a' } }] });
rows('a star at one end of a request principal without a slash', allow('{from: [{source: {requestPrincipals: ["acc*", "*@corp"]}}]}'), {
  allowed: [{ claims: { iss: 'accounts', sub: 'x' } }, { claims: { iss: 'x', sub: 'ann@corp' } }], denied: [{ claims: { iss: 'x', sub: 'y' } }],
});
rows('DENY whoever has no token', { d: '{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ["*"]}}]}]}' }, { allowed: [{ claims: { iss: 'a', sub: 'b' } }], denied: [{}] });

// Operations
rows('methods', allow('{to: [{operation: {methods: [GET, "P*"], notMethods: [PATCH]}}]}'), { allowed: [{}, { method: 'POST' }], denied: [{ method: 'DELETE' }, { method: 'PATCH' }, { method: 'get' }] });
rows('hosts, whatever their case', allow('{to: [{operation: {hosts: [shop.Example, "*.corp", "web*"]}}]}'), { allowed: [{ host: 'SHOP.example' }, { host: 'a.CORP' }, { host: 'WEB:80' }], denied: [{ host: 'shop.example:80' }, { host: 'x' }] });
rows('notHosts', allow('{to: [{operation: {notHosts: ["*.corp"]}}]}'), { allowed: [{ host: 'a' }], denied: [{ host: 'a.Corp' }] });
rows('paths without their query', allow('{to: [{operation: {paths: [/a, "/b*", "*.txt"], notPaths: [/b/secret]}}]}'), {
  allowed: [{ path: '/a?x=1' }, { path: '/b' }, { path: '/b/c' }, { path: '/x.txt' }], denied: [{ path: '/a/' }, { path: '/A' }, { path: '/b/secret?a' }, { path: '/x?.txt' }],
});
rows('path templates', allow('{to: [{operation: {paths: ["/a/{*}/c", "/d/{**}"], notPaths: ["/d/{*}/x"]}}]}'), {
  allowed: [{ path: '/a/b/c?q' }, { path: '/d/' }, { path: '/d/e/f' }], denied: [{ path: '/a/b/b/c' }, { path: '/a//c' }, { path: '/d/e/x' }, { path: '/d' }],
});
rows('ports are the workload\'s', allow('{to: [{operation: {ports: ["9080"], notPorts: ["9081"]}}]}'), { allowed: [{}], denied: [{ port: 80 }, { port: 9081 }] });

// Conditions
rows('request.headers: exact, presence, and not', allow('{when: [{key: "request.headers[X-Role]", values: [admin, "dev-*"]}, {key: "request.headers[x-bad]", notValues: ["*"]}]}'), {
  allowed: [{ headers: { 'x-role': 'admin' } }, { headers: { 'x-role': 'dev-1' } }], denied: [{}, { headers: { 'x-role': 'Admin' } }, { headers: { 'x-role': 'admin', 'x-bad': '1' } }],
});
rows('a condition may both demand and forbid', allow('{when: [{key: source.namespace, values: ["team-*"], notValues: [team-x]}]}'), { allowed: [{ principal: 'td/ns/team-a/sa/b' }], denied: [{}, { principal: 'td/ns/team-x/sa/b' }] });
rows('source.ip, remote.ip and destination.ip', allow('{when: [{key: source.ip, values: ["10.1.0.0/16"]}, {key: remote.ip, notValues: ["10.9.0.0/16"]}, {key: destination.ip, values: [10.0.0.1]}]}'), {
  allowed: [{}], denied: [{ source: '10.2.0.1' }, { remote: '10.9.0.1' }, { destination: '10.0.0.2' }],
});
rows('source.principal, source.serviceAccount, source.trustDomain', allow('{when: [{key: source.principal, values: ["*/sa/sleep"]}, {key: source.serviceAccount, values: [default/sleep]}, {key: source.trustDomain, notValues: [evil]}]}'), {
  allowed: [{ principal: sleep }], denied: [{}, { principal: 'evil/ns/default/sa/sleep' }, { principal: 'td/ns/a/sa/sleep' }],
});
rows('destination.port and connection.sni', allow('{when: [{key: destination.port, values: ["9080", "9081"]}, {key: connection.sni, values: ["*.example"]}]}'), { allowed: [{ sni: 'a.example' }], denied: [{}, { sni: 'a.example', port: 1 }] });
rows('request.auth.principal, audiences and presenter', allow('{when: [{key: request.auth.principal, values: ["a/b"]}, {key: request.auth.audiences, values: [x, "y*"]}, {key: request.auth.presenter, values: [p]}]}'), {
  allowed: [{ claims: { iss: 'a', sub: 'b', aud: ['q', 'y1'], azp: 'p' } }, { claims: { iss: 'a', sub: 'b', aud: 'x', azp: 'p' } }],
  denied: [{ claims: { iss: 'a', sub: 'b', aud: ['q'], azp: 'p' } }, { claims: { iss: 'a', sub: 'b', aud: 'x' } }],
});
rows('request.auth.claims: texts, lists, nested', allow('{when: [{key: "request.auth.claims[groups]", values: [ops]}, {key: "request.auth.claims[realm][roles]", values: ["adm*"], notValues: [admin-x]}]}'), {
  allowed: [{ claims: { groups: ['dev', 'ops'], realm: { roles: ['admin'] } } }, { claims: { groups: 'ops', realm: { roles: 'adm' } } }],
  denied: [{ claims: { groups: ['dev'], realm: { roles: ['admin'] } } }, { claims: { groups: ['ops'], realm: { roles: ['user'] } } }, { claims: { groups: ['ops'], realm: { roles: ['admin', 'admin-x'] } } }],
});
rows('metadata of filters', allow('{when: [{key: "experimental.envoy.filters.a.b[c]", values: [one, "[two*]"]}]}'), {
  allowed: [{ metadata: { 'envoy.filters.a.b': { c: 'one' } } }, { metadata: { 'envoy.filters.a.b': { c: ['x', 'twofold'] } } }], denied: [{}, { metadata: { 'envoy.filters.a.b': { c: ['one'] } } }],
});

// Trust domain aliases
const aliases = { mesh: { trustDomain: 'new', trustDomainAliases: ['old', 'oldest'] } };
rows('a principal of the mesh counts under every alias of its trust domain', allow('{from: [{source: {principals: ["old/ns/a/sa/b"], notPrincipals: ["cluster.local/ns/x/sa/y"]}}]}'), {
  ...aliases, allowed: ['new', 'old', 'oldest'].map((td) => ({ principal: `${td}/ns/a/sa/b` })), denied: [{ principal: 'cluster.local/ns/a/sa/b' }, { principal: 'new/ns/x/sa/y' }],
});
rows('"cluster.local" is the mesh\'s own trust domain; a foreign one is itself', allow('{from: [{source: {principals: ["cluster.local/ns/a/sa/b", "foreign/ns/c/sa/d", "*est/ns/e/sa/f"]}}]}'), {
  ...aliases, allowed: [{ principal: 'new/ns/a/sa/b' }, { principal: 'oldest/ns/a/sa/b' }, { principal: 'foreign/ns/c/sa/d' }, { principal: 'oldest/ns/e/sa/f' }, { principal: 'new/ns/e/sa/f' }],
  denied: [{ principal: 'new/ns/c/sa/d' }, { principal: 'foreign/ns/a/sa/b' }],
});
rows('trust domains stand for their aliases', allow('{from: [{source: {trustDomains: [old]}}]}'), { ...aliases, allowed: [{ principal: 'new/ns/a/sa/b' }, { principal: 'oldest/ns/a/sa/b' }], denied: [{ principal: 'foreign/ns/a/sa/b' }] });

// Scopes
rows('policies of the root namespace are the mesh\'s, those of other namespaces somebody else\'s', { 'mesh istio-system': '{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}', 'other prod': '{}' }, { allowed: [{}], denied: [{ path: '/admin' }] });
rows('a selector picks workloads', { a: '{selector: {matchLabels: {app: productpage}}, action: DENY, rules: [{to: [{operation: {methods: [PUT]}}]}]}', b: '{selector: {matchLabels: {app: reviews}}}', 'c istio-system': '{selector: {matchLabels: {version: v2}}}' }, { allowed: [{}], denied: [{ method: 'PUT' }] });
rows('a policy for a Gateway is not for a sidecar', { a: '{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}]}', b: '{targetRef: {kind: Service, name: productpage}}' }, { allowed: [{}] });

test('a denial names the rule as Istio does', () => {
  assert.equal(verdict(filtersFor({ d: '{action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}, {to: [{operation: {paths: [/y]}}]}]}' }), { path: '/y' }), 'rbac_access_denied_matched_policy[ns[default]-policy[d]-rule[1]]');
  assert.equal(verdict(filtersFor({ a: '{}' }), {}), 'rbac_access_denied_matched_policy[none]');
});

test('dry runs are shadow rules under the prefixes that Istio\'s dashboards know', () => {
  const [deny, allowed] = filtersFor({ 'd default dry-run': '{action: DENY, rules: [{}]}', 'a default dry-run': '{rules: [{}]}', real: '{rules: [{}]}' });
  assert.deepEqual([deny?.rules, Object.keys(deny?.shadowRules?.policies ?? {}), deny?.shadowRulesStatPrefix], [undefined, ['ns[default]-policy[d]-rule[0]'], 'istio_dry_run_deny_']);
  assert.deepEqual([Object.keys(allowed?.rules?.policies ?? {}), allowed?.shadowRulesStatPrefix], [['ns[default]-policy[real]-rule[0]'], 'istio_dry_run_allow_']);
});

// TCP
const tcp = { tcp: true };
rows('TCP: who, from where and which port decide', allow('{from: [{source: {principals: ["cluster.local/ns/default/sa/sleep"]}}], to: [{operation: {ports: ["9080"]}}], when: [{key: source.ip, values: ["10.1.0.0/16"]}]}'), {
  ...tcp, allowed: [{ principal: sleep }], denied: [{}, { principal: sleep, port: 9090 }, { principal: sleep, source: '10.2.0.1' }],
});
rows('TCP: an ALLOW rule that asks for what only requests have allows nothing', allow('{to: [{operation: {methods: [GET], ports: ["9080"]}}]}'), { ...tcp, denied: [{}] });
rows('TCP: its neighbours stay', { p: '{rules: [{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {ports: ["9080"]}}]}]}' }, { ...tcp, allowed: [{}], denied: [{ port: 1 }] });
rows('TCP: a DENY rule goes without what only requests have', { d: '{action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ["9080"]}}]}]}' }, { ...tcp, allowed: [{ port: 1 }], denied: [{}] });
rows('TCP: so one with nothing else denies everything', { d: '{action: DENY, rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}' }, { ...tcp, denied: [{}] });
