import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configsOf, meshOf } from '../testing/mesh.test-support.ts';
import { visibleTo } from './virtual-services.ts';

const rule = (name: string, spec: string, { namespace = 'a', born = '2026-01-01T00:00:00Z' } = {}) =>
  `---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "${born}"}\nspec: ${spec}\n`;

const index = (yaml: string, exportTo = ['*']) => meshOf(configsOf(yaml), { defaultVirtualServiceExportTo: exportTo }).virtualServices;

/** The routes of the rule "root", when `root` (fields of its one http entry) delegates to `child` (an http entry, or several) in namespace b. */
function merged(root: string, child: string, more = '') {
  const yaml = rule('root', `{hosts: [shop.example], http: [{${root}${root === '' ? '' : ', '}delegate: {name: child, namespace: b}}]}`) + rule('child', `{http: [${child}]${more}}`, { namespace: 'b' });
  return index(yaml).all[0]?.spec.http ?? [];
}

const to = 'route: [{destination: {host: one}}]';

test('gateways are named short, with a namespace, or as in the oldest YAML by name and namespace with dots', () => {
  const [only] = index(rule('r', '{hosts: [shop.example], gateways: [gw, b/far, old.c, older.d.svc.cluster.local, mesh], http: [{match: [{gateways: [gw]}], ROUTE}]}'.replace('ROUTE', to))).all;
  assert.deepEqual(only?.gateways, ['a/gw', 'b/far', 'c/old', 'd/older', 'mesh']);
  assert.deepEqual(only?.spec.http[0]?.match[0]?.gateways, ['a/gw']);
});

test('hosts are compared without regard to case', () => {
  assert.deepEqual(index(rule('r', `{hosts: [Shop.Example], http: [{${to}}]}`)).all[0]?.hosts, ['shop.example']);
});

test('who claims a host first: rules private to the client\'s namespace, then those exported to it by name, then public ones; the older first, then by name and namespace', () => {
  const spec = (exportTo: string) => `{hosts: [shop.example], exportTo: [${exportTo}], http: [{${to}}]}`;
  const yaml =
    rule('old-public', spec('"*"'), { namespace: 'b', born: '2020-01-01T00:00:00Z' }) + rule('named', spec('a, c'), { namespace: 'b', born: '2021-01-01T00:00:00Z' }) + rule('private', spec('"."'), { born: '2022-01-01T00:00:00Z' }) +
    rule('b-same-age', spec('"*"')) + rule('a-same-age', spec('"*"'), { namespace: 'z' }) + rule('a-same-age', spec('"*"')) + rule('elsewhere', spec('c'), { namespace: 'b' });
  const names = visibleTo(index(yaml).mesh, 'a').map(({ name, namespace }) => `${namespace}/${name}`);
  assert.deepEqual(names, ['a/private', 'b/named', 'b/old-public', 'a/a-same-age', 'z/a-same-age', 'a/b-same-age']);
});

test('a rule that names no exportTo follows the mesh\'s default', () => {
  const yaml = rule('r', `{hosts: [shop.example], http: [{${to}}]}`);
  assert.equal(visibleTo(index(yaml, ['.']).mesh, 'b').length, 0);
  assert.equal(visibleTo(index(yaml, ['.']).mesh, 'a').length, 1);
});

test('a delegate\'s names resolve in its own namespace, the root\'s conditions in the root\'s', () => {
  const [route] = merged('match: [{gateways: [gw], uri: {prefix: /}}], mirrors: [{destination: {host: seen}}]', '{match: [{uri: {prefix: /x}}], route: [{destination: {host: one}}]}');
  assert.deepEqual(route?.match.map(({ gateways, uri }) => [gateways, uri]), [[['a/gw'], { prefix: '/x' }]]);
  assert.equal(route?.route[0]?.destination.host, 'one.b.svc.cluster.local');
  assert.equal(route?.mirrors[0]?.destination.host, 'seen.a.svc.cluster.local');
});

test('names of routes and matches are joined with a dash', () => {
  assert.deepEqual(merged('name: r, match: [{name: m}]', `{name: c, match: [{name: n}], ${to}}`).map(({ name, match }) => [name, match[0]?.name]), [['r-c', 'm-n']]);
  assert.deepEqual(merged('name: r', `{${to}}`).map(({ name }) => name), ['r']);
  assert.deepEqual(merged('', `{name: c, ${to}}`).map(({ name }) => name), ['c']);
});

test('what the delegate leaves open the root fills in, what it sets it keeps', () => {
  const [filled] = merged('timeout: 3s, retries: {attempts: 4}, headers: {request: {set: {x-a: root}}}, corsPolicy: {allowMethods: [GET]}', `{timeout: 1s, ${to}}`);
  assert.deepEqual([filled?.timeout, filled?.retries?.attempts, filled?.headers?.request?.set, filled?.corsPolicy?.allowMethods], [1000, 4, { 'x-a': 'root' }, ['GET']]);
});

test('a delegate that is missing, not exported to the root, or delegates itself offers no route; other routes of the root stay', () => {
  const root = `{hosts: [shop.example], http: [{match: [{uri: {prefix: /x}}], delegate: {name: child, namespace: b}}, {name: own, ${to}}]}`;
  const names = (child: string) => index(rule('root', root) + child).all[0]?.spec.http.map(({ name }) => name);
  assert.deepEqual(names(''), ['own']);
  assert.deepEqual(names(rule('child', `{http: [{name: c, ${to}}], exportTo: ["."]}`, { namespace: 'b' })), ['own']);
  assert.deepEqual(names(rule('child', `{http: [{name: c, ${to}}], exportTo: [a]}`, { namespace: 'b' })), ['c', 'own']);
});

/** [why, conditions of the root, conditions of the delegate, whether the delegate's route stays]. */
const pairs: readonly (readonly [string, string, string, boolean])[] = [
  ['a longer prefix narrows', '{uri: {prefix: /a}}', '{uri: {prefix: /a/b}}', true],
  ['a shorter prefix leaves the root\'s', '{uri: {prefix: /a/b}}', '{uri: {prefix: /a}}', false],
  ['an exact path below the prefix narrows', '{uri: {prefix: /a}}', '{uri: {exact: /a}}', true],
  ['an exact path elsewhere does not', '{uri: {prefix: /a}}', '{uri: {exact: /b}}', false],
  ['the same exact path is the same', '{uri: {exact: /a}}', '{uri: {exact: /a}}', true],
  ['a prefix under an exact path leaves it', '{uri: {exact: /a}}', '{uri: {prefix: /a}}', false],
  ['a regular expression cannot be compared, even with itself', '{uri: {regex: /a.*}}', '{uri: {regex: /a.*}}', false],
  ['nor with a prefix', '{uri: {prefix: /a}}', '{uri: {regex: /a/.*}}', false],
  ['a regular expression beside no condition of its kind is fine', '{method: {exact: GET}}', '{uri: {regex: /a.*}}', true],
  ['other methods', '{method: {exact: GET}}', '{method: {exact: POST}}', false],
  ['other header values', '{headers: {x-a: {exact: "1"}}}', '{headers: {x-a: {exact: "2"}}}', false],
  ['other headers add up', '{headers: {x-a: {exact: "1"}}}', '{headers: {x-b: {exact: "2"}}}', true],
  ['presence beside a value', '{headers: {x-a: {}}}', '{headers: {x-a: {exact: "1"}}}', false],
  ['unwanted headers of other values', '{withoutHeaders: {x-a: {exact: "1"}}}', '{withoutHeaders: {x-a: {exact: "2"}}}', false],
  ['query parameters of other values', '{queryParams: {q: {exact: "1"}}}', '{queryParams: {q: {exact: "2"}}}', false],
  ['case ignored by one only', '{uri: {prefix: /a}, ignoreUriCase: true}', '{uri: {prefix: /a}}', false],
  ['other ports', '{port: 80}', '{port: 81}', false],
  ['a port of one only', '{port: 80}', '{method: {exact: GET}}', true],
  ['the root\'s source namespace must be named', '{sourceNamespace: a}', '{method: {exact: GET}}', false],
  ['and be the same', '{sourceNamespace: a}', '{sourceNamespace: a}', true],
  ['the delegate alone may name one', '{method: {exact: GET}}', '{sourceNamespace: a}', true],
  ['other values of one source label', '{sourceLabels: {app: x}}', '{sourceLabels: {app: y}}', false],
  ['labels add up', '{sourceLabels: {app: x}}', '{sourceLabels: {version: v1}}', true],
  ['a gateway the root does not name', '{gateways: [a/one]}', '{gateways: [a/two]}', false],
  ['some of the root\'s gateways', '{gateways: [a/one, a/two]}', '{gateways: [a/two]}', true],
];

for (const [why, root, child, stays] of pairs) {
  test(`delegates, ${stays ? 'merged' : 'in conflict'}: ${why}`, () => assert.equal(merged(`match: [${root}]`, `{match: [${child}], ${to}}`).length, stays ? 1 : 0));
}

test('each condition of the delegate needs one of the root that it narrows, or the whole route is in conflict', () => {
  assert.equal(merged('match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}]', `{match: [{uri: {prefix: /a/x}}, {uri: {prefix: /c}}], ${to}}`).length, 0);
  const [both] = merged('match: [{name: one, uri: {prefix: /a}}, {name: two, uri: {prefix: /b}}]', `{match: [{uri: {prefix: /b/x}}, {uri: {prefix: /a/x}}], ${to}}`);
  assert.deepEqual(both?.match.map(({ name, uri }) => `${name} ${uri?.prefix}`), ['two /b/x', 'one /a/x'], 'in the delegate\'s order');
  const [product] = merged('match: [{method: {exact: GET}}, {headers: {x-a: {exact: "1"}}}]', `{match: [{uri: {prefix: /a}}], ${to}}`);
  assert.equal(product?.match.length, 2, 'every pair that agrees');
});
