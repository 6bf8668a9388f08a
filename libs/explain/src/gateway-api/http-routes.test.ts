import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answers, gateway, goes, grant, route, router, service, type Request } from '../testing/gateway-api.ts';

const http = '{name: http, port: 80, protocol: HTTP}';
const open = gateway('gw', '{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}');
const services = ['a', 'b', 'c'].map((name) => service(name)).join('') + service('a', { namespace: 'other' });
const to = (name: string, more = '') => `backendRefs: [{name: ${name}, port: 80${more}}]`;
const web = (rules: string, name = 'web', more = {}) => route('HTTPRoute', name, `parentRefs: [{name: gw, namespace: default}], rules: [${rules}]`, more);
const mesh = (rules: string) => open + services + web(rules);

/** A request that needs no words: its path, or its host and path. */
const at = (text: string): Request => (text.startsWith('/') ? { host: 'x.example', path: text } : { host: text.split('/')[0] ?? '', path: `/${text.split('/').slice(1).join('/')}` });

for (const [name, rules, requests] of [
  ['an exact path takes itself alone', `{matches: [{path: {type: Exact, value: /one}}], ${to('a')}}`, { '/one': 'a', '/one/': '404', '/one/two': '404' }],
  ['a prefix ends where a segment does', `{matches: [{path: {value: /one}}], ${to('a')}}`, { '/one': 'a', '/one/': 'a', '/one/two': 'a', '/onetwo': '404' }],
  ['a slash at the end of a prefix does not count', `{matches: [{path: {value: /one/}}], ${to('a')}}`, { '/one': 'a', '/one/two': 'a', '/onetwo': '404' }],
  ['a pattern matches the whole path', `{matches: [{path: {type: RegularExpression, value: "/v[0-9]+/x"}}], ${to('a')}}`, { '/v1/x': 'a', '/v1/x/y': '404' }],
  ['exact before the longest prefix before patterns', `{matches: [{path: {type: RegularExpression, value: "/.*"}}], ${to('c')}}, {matches: [{path: {value: /one}}], ${to('b')}}, {matches: [{path: {type: Exact, value: /one}}], ${to('a')}}`, { '/one': 'a', '/one/two': 'b', '/else': 'c' }],
  ['the longer prefix wins, wherever it stands', `{matches: [{path: {value: /}}], ${to('a')}}, {matches: [{path: {value: /one/two}}], ${to('c')}}, {matches: [{path: {value: /one}}], ${to('b')}}`, { '/': 'a', '/one': 'b', '/one/two/x': 'c' }],
  ['a rule without matches takes the rest', `{${to('a')}}, {matches: [{path: {value: /b}}], ${to('b')}}`, { '/': 'a', '/b': 'b' }],
  ['a rule without backends answers 500', '{matches: [{path: {value: /one}}]}', { '/one': '500' }],
  ['backends without weight answer 500', `{${to('a', ', weight: 0')}}`, { '/': '500' }],
  ['a backend that does not exist answers 500', `{${to('nobody')}}`, { '/': '500' }],
  ['a backend of another kind answers 500', '{backendRefs: [{group: example.com, kind: Bucket, name: a, port: 80}]}', { '/': '500' }],
] as const) {
  test(`HTTPRoute: ${name}`, () => {
    assert.deepEqual(Object.fromEntries(Object.keys(requests).map((text) => [text, goes(mesh(rules), router, at(text))[0]])), requests);
  });
}

test('HTTPRoute: every match of a rule is a way in', () => {
  const rules = `{matches: [{path: {value: /a}}, {path: {value: /x}, method: POST}, {headers: [{name: v, value: "2"}]}, {queryParams: [{name: q, value: "1"}]}], ${to('a')}}`;
  assert.deepEqual(goes(mesh(rules), router, at('/a'), { ...at('/x'), method: 'POST' }, at('/x'), { ...at('/'), headers: { v: '2' } }, at('/?q=1'), at('/?q=2')), ['a', 'a', '404', 'a', 'a', '404']);
});

test('HTTPRoute: a method, then more headers, then more query parameters decide between equal paths', () => {
  const header = (...names: string[]) => `headers: [${names.map((name) => `{name: ${name}, value: "1"}`).join(', ')}]`;
  const rules = `{matches: [{queryParams: [{name: q, value: "1"}]}], ${to('c')}}, {matches: [{${header('h')}}], ${to('b')}}, {matches: [{method: GET}], ${to('a')}}, {${to('b')}}`;
  assert.deepEqual(goes(mesh(rules), router, { ...at('/?q=1'), headers: { h: '1' } }, { ...at('/?q=1'), headers: { h: '1' }, method: 'POST' }, { ...at('/?q=1'), method: 'POST' }), ['a', 'b', 'c']);
});

test('HTTPRoute: rules of several routes are one order; of equal rules the older route\'s counts, then the name', () => {
  const old = { born: '2026-01-01T00:00:00Z' };
  const young = { born: '2026-02-01T00:00:00Z' };
  assert.deepEqual(goes(open + services + web(`{${to('a')}}`, 'young', young) + web(`{${to('b')}}`, 'z-old', old), router, at('/')), ['b']);
  assert.deepEqual(goes(open + services + web(`{${to('a')}}`, 'one', old) + web(`{${to('b')}}`, 'two', old), router, at('/')), ['a']);
  assert.deepEqual(goes(open + services + web(`{${to('a')}}`, 'old', old) + web(`{matches: [{path: {value: /b}}], ${to('b')}}`, 'young', young), router, at('/b'), at('/')), ['b', 'a']);
});

test('HTTPRoute: weights are shares; a single backend needs none', () => {
  const [two] = answers(mesh('{backendRefs: [{name: a, port: 80, weight: 3}, {name: b, port: 80}, {name: c, port: 80, weight: 0}]}'), router, at('/'));
  assert.deepEqual(two?.clusters?.map(({ name, weight }) => [name.split('|')[3]?.split('.')[0], weight]), [['a', 3], ['b', 1]]);
});

test('HTTPRoute: hostnames of route and listener meet; wildcards of either cover the other\'s names', () => {
  const listen = (hostname: string) => gateway('gw', `{name: http, port: 80, protocol: HTTP, hostname: "${hostname}"}`);
  const named = (hostnames: string) => services + route('HTTPRoute', 'web', `parentRefs: [{name: gw}], hostnames: [${hostnames}], rules: [{${to('a')}}]`);
  assert.deepEqual(goes(listen('*.example.com') + named('shop.example.com'), router, at('shop.example.com/'), at('else.example.com/')), ['a', '404']);
  assert.deepEqual(goes(listen('shop.example.com') + named('"*.example.com"'), router, at('shop.example.com/'), at('else.example.com/')), ['a', '404']);
  assert.deepEqual(goes(listen('shop.example.com') + named('shop.example.org'), router, at('shop.example.com/'), at('shop.example.org/')), ['404', '404']);
});

test('HTTPRoute: the listener with the closer name takes a host alone', () => {
  const two = gateway('gw', '{name: wide, port: 80, protocol: HTTP, hostname: "*.example.com"}, {name: close, port: 80, protocol: HTTP, hostname: shop.example.com}');
  const yaml = two + services + route('HTTPRoute', 'wide', `parentRefs: [{name: gw, sectionName: wide}], rules: [{${to('a')}}]`) + route('HTTPRoute', 'close', `parentRefs: [{name: gw, sectionName: close}], rules: [{matches: [{path: {value: /b}}], ${to('b')}}]`);
  assert.deepEqual(goes(yaml, router, at('else.example.com/'), at('shop.example.com/b'), at('shop.example.com/')), ['a', 'b', '404']);
});

test('HTTPRoute: sectionName and port choose the listener', () => {
  const two = gateway('gw', '{name: one, port: 80, protocol: HTTP}, {name: two, port: 81, protocol: HTTP}');
  const bySection = route('HTTPRoute', 'web', `parentRefs: [{name: gw, sectionName: two}], rules: [{${to('a')}}]`);
  const byPort = route('HTTPRoute', 'web', `parentRefs: [{name: gw, port: 81}], rules: [{${to('a')}}]`);
  for (const chosen of [bySection, byPort]) assert.deepEqual(goes(two + services + chosen, router, { ...at('/'), port: 80 }, { ...at('/'), port: 81 }), ['404', 'a']);
});

test('HTTPRoute: a listener takes routes of its own namespace, of all, or of those it selects', () => {
  const from = (rule: string) => gateway('gw', `{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: ${rule}}}`);
  const stranger = services + web(`{backendRefs: [{name: a, port: 80}]}`, 'web', { namespace: 'other' });
  const label = '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other, labels: {team: shop}}\n';
  assert.deepEqual(goes(from('{from: Same}') + stranger, router, at('/')), ['404']);
  assert.deepEqual(goes(from('{from: All}') + stranger, router, at('/')), ['a.other']);
  assert.deepEqual(goes(from('{from: Selector, selector: {matchLabels: {team: shop}}}') + stranger, router, at('/')), ['404']);
  assert.deepEqual(goes(from('{from: Selector, selector: {matchLabels: {team: shop}}}') + label + stranger, router, at('/')), ['a.other']);
  assert.deepEqual(goes(from('{from: Selector, selector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [other]}]}}') + stranger, router, at('/')), ['a.other']);
});

test('HTTPRoute: a backend of another namespace needs a ReferenceGrant there, for this kind and this Service', () => {
  const across = open + services + web('{backendRefs: [{name: a, namespace: other, port: 80}]}');
  const from = (kind: string, namespace = 'default') => `{group: gateway.networking.k8s.io, kind: ${kind}, namespace: ${namespace}}`;
  const allowed = (who: string, what: string) => goes(across + grant('grant', who, what, { namespace: 'other' }), router, at('/'))[0];
  assert.deepEqual(goes(across, router, at('/')), ['500']);
  assert.equal(allowed(from('HTTPRoute'), '{group: "", kind: Service}'), 'a.other');
  assert.equal(allowed(from('HTTPRoute'), '{group: "", kind: Service, name: a}'), 'a.other');
  assert.equal(allowed(from('HTTPRoute'), '{group: "", kind: Service, name: b}'), '500');
  assert.equal(allowed(from('GRPCRoute'), '{group: "", kind: Service}'), '500');
  assert.equal(allowed(from('HTTPRoute', 'else'), '{group: "", kind: Service}'), '500');
});

test('HTTPRoute: redirects replace scheme, host, port, path or its prefix', () => {
  const redirect = (text: string, match = 'path: {value: /old}') => mesh(`{matches: [{${match}}], filters: [{type: RequestRedirect, requestRedirect: {${text}}}]}`);
  const [plain] = answers(redirect('hostname: new.example, statusCode: 301'), router, at('/old/x'));
  assert.deepEqual([plain?.outcome, plain?.status, plain?.location], ['redirect', 301, 'http://new.example/old/x']);
  const [secure] = answers(redirect('scheme: https'), router, at('/old'));
  assert.deepEqual([secure?.status, secure?.location], [302, 'https://x.example/old']);
  const [full] = answers(redirect('path: {type: ReplaceFullPath, replaceFullPath: /new}, port: 8080'), router, at('/old/x'));
  assert.equal(full?.location, 'http://x.example:8080/new');
  const [prefix] = answers(redirect('path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}'), router, at('/old/x'));
  assert.equal(prefix?.location, 'http://x.example/new/x');
});

test('HTTPRoute: rewrites replace the host, the path, its prefix, or take the prefix away', () => {
  const rewrite = (text: string) => mesh(`{matches: [{path: {value: /old}}], filters: [{type: URLRewrite, urlRewrite: {${text}}}], ${to('a')}}`);
  const path = (text: string, of: string) => answers(rewrite(text), router, at(of))[0]?.settings?.path;
  assert.equal(answers(rewrite('hostname: new.example'), router, at('/old'))[0]?.settings?.authority, 'new.example');
  assert.equal(path('path: {type: ReplaceFullPath, replaceFullPath: /new}', '/old/x'), '/new');
  assert.equal(path('path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}', '/old/x'), '/new/x');
  assert.equal(path('path: {type: ReplacePrefixMatch, replacePrefixMatch: /}', '/old/x'), '/x');
  assert.equal(path('path: {type: ReplacePrefixMatch, replacePrefixMatch: /}', '/old'), '/');
});

test('HTTPRoute: timeouts and retries', () => {
  const settings = (text: string) => answers(mesh(`{${text}, ${to('a')}}`), router, at('/'))[0]?.settings;
  assert.equal(settings('timeouts: {request: 3s}')?.timeoutMs, 3000);
  assert.equal(settings('timeouts: {request: 3s, backendRequest: 1s}')?.timeoutMs, 1000);
  const retried = settings('timeouts: {request: 3s, backendRequest: 1s}, retry: {codes: [503], attempts: 4}');
  assert.deepEqual([retried?.timeoutMs, retried?.retries?.attempts, retried?.retries?.perTryTimeoutMs], [3000, 4, 1000]);
});

test('HTTPRoute: mirrors get their share of copies', () => {
  const rules = `{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: b, port: 80}, percent: 25}}, {type: RequestMirror, requestMirror: {backendRef: {name: c, port: 80}, fraction: {numerator: 1, denominator: 2}}}], ${to('a')}}`;
  const [answer] = answers(mesh(rules), router, at('/'));
  assert.match(JSON.stringify(answer?.settings?.mirrors), /b\.default.*25.*c\.default.*50/);
});

test('HTTPRoute: a filter that nobody does here refuses the route by name, alone', () => {
  const bad = web(`{filters: [{type: ExtensionRef, extensionRef: {group: example.com, kind: Magic, name: m}}], ${to('a')}}`, 'bad');
  const [answer] = answers(open + services + bad + web(`{matches: [{path: {value: /b}}], ${to('b')}}`, 'good'), router, at('/b'));
  assert.equal(answer?.cluster, 'outbound|80||b.default.svc.cluster.local');
  assert.deepEqual(goes(open + services + bad, router, at('/')), ['404']);
});

test('HTTPRoute: virtual host and route names are Istio\'s', () => {
  const named = open + services + route('HTTPRoute', 'web', `parentRefs: [{name: gw}], hostnames: [shop.example.com], rules: [{${to('a')}}, {name: blue, matches: [{path: {value: /b}}], ${to('b')}}]`);
  const [first, second] = answers(named, router, at('shop.example.com/'), at('shop.example.com/b'));
  assert.deepEqual([first?.virtualHost, first?.route, second?.route], ['shop.example.com:80', 'default.web.0', 'blue']);
});

test('a Gateway of nobody\'s class is left alone; of an unknown Service nothing is served', () => {
  const routed = services + web(`{${to('a')}}`);
  const own = (text: string) => `---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec: {gatewayClassName: ${text}, listeners: [${http}]}\n`;
  assert.deepEqual(goes(own('nginx') + routed, router, at('/')), ['no_listener']);
  assert.deepEqual(goes(own('meltemi') + routed, router, at('/')), ['a']);
  const mine = '---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: mine}\nspec: {controllerName: istio.io/gateway-controller}\n';
  assert.deepEqual(goes(mine + own('mine') + routed, router, at('/')), ['a']);
});

test('the rule that matched is named where it is written: the HTTPRoute, not what it is converted to', () => {
  const [answer] = answers(mesh(`{${to('a')}}, {matches: [{path: {value: /b}}], ${to('b')}}`), router, at('/b'));
  const rule = answer?.steps.find(({ at: where, matched }) => where === 'route' && matched);
  assert.deepEqual([rule?.origin?.kind, rule?.origin?.name, rule?.origin?.field, rule?.origin?.file], ['HTTPRoute', 'web', 'spec.rules[1]', 'mesh.yaml']);
});

test('HTTPS for routes of several namespaces: the listener asks for its name once', () => {
  const listener = gateway('gw', '{name: https, port: 443, protocol: HTTPS, hostname: x.example, tls: {certificateRefs: [{name: cert}]}, allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [other, default]}]}}}}');
  const yaml = listener + services + web('{backendRefs: [{name: a, port: 80}]}', 'web', { namespace: 'other' }) + web(`{matches: [{path: {value: /b}}], ${to('b')}}`, 'mine');
  assert.deepEqual(goes(yaml, router, { ...at('/'), port: 443, tls: 'tls', sni: 'x.example' }, { ...at('/b'), port: 443, tls: 'tls', sni: 'x.example' }), ['a.other', 'b']);
});
