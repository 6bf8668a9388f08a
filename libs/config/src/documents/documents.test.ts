import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../decode.ts';
import { parseYamlDocuments } from './parse.ts';
import { parsePath } from './locate.ts';
import { validateDocuments } from './validate.ts';

const object = (apiVersion: string, kind: string, spec = '{}'): string => `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: it}\nspec: ${spec}\n`;
const strict = object('security.istio.io/v1', 'PeerAuthentication', '{mtls: {mode: STRICT}}');

test('an entry says which file, document and object it is about', () => {
  assert.deepEqual(validateDocuments(strict, 'a.yaml'), [
    { file: 'a.yaml', document: 0, kind: 'PeerAuthentication', name: 'it', namespace: 'default', valid: true, errors: [], warnings: [] },
  ]);
});

test('empty documents are counted but have no entry', () => {
  const entries = validateDocuments(`# a comment\n---\n${strict}---\n---\n# nothing here\n---\n${strict}`, 'a.yaml');
  assert.deepEqual(entries.map((entry) => entry.document), [0, 3]);
  assert.deepEqual(validateDocuments('', 'a.yaml'), []);
});

test('an unreadable document does not hide the others', () => {
  const entries = validateDocuments(`${strict}---\na: [1\n---\n${strict}---\nb: 1\nb: 2\n`, 'a.yaml');
  assert.deepEqual(entries.map((entry) => entry.valid), [true, false, true, false]);
  assert.match(entries[1]?.errors[0]?.message ?? '', /line \d+, column \d+/);
  assert.match(entries[3]?.errors[0]?.message ?? '', /"b" is written twice/);
});

test('errors carry the line and column of the field, or of its nearest parent', () => {
  const text = `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: it\nspec:\n  hosts: [a]\n  http:\n  - timout: 5s\n    route:\n    - destination: {}\n`;
  const [entry] = validateDocuments(text, 'a.yaml');
  const at = (path: string) => entry?.errors.find((error) => error.path === path);
  assert.deepEqual([at('spec.http[0].timout')?.line, at('spec.http[0].timout')?.column], [8, 5]);
  assert.equal(at('spec.http[0].route[0].destination.host')?.line, 10);
});

test('kinds are judged by their group when nobody knows them', () => {
  const verdict = (apiVersion: string, kind: string) => validateDocuments(object(apiVersion, kind), 'a')[0];
  assert.equal(verdict('networking.istio.io/v1', 'VirtualServise')?.valid, false);
  assert.match(verdict('networking.istio.io/v1', 'VirtualServise')?.errors[0]?.message ?? '', /did you mean "VirtualService"/);
  assert.match(verdict('networking.istio.io/v2', 'Gateway')?.errors[0]?.message ?? '', /networking\.istio\.io\/v1alpha3/);
  for (const [apiVersion, kind] of [
    ['gateway.networking.k8s.io/v1alpha2', 'UDPRoute'],
    ['v1', 'PersistentVolumeClaim'],
    ['cert-manager.io/v1', 'Certificate'],
    ['config.istio.io/v1alpha2', 'handler'],
    ['install.istio.io/v1alpha1', 'IstioOperator'],
  ] as const) {
    const entry = verdict(apiVersion, kind);
    assert.deepEqual([entry?.valid, entry?.errors, entry?.warnings.length], [true, [], 1], kind);
  }
});

test('every version users have is read alike', () => {
  for (const version of ['v1', 'v1beta1', 'v1alpha3']) assert.equal(validateDocuments(object(`networking.istio.io/${version}`, 'DestinationRule', '{host: a}'), 'a')[0]?.valid, true);
});

test('a List is one entry, with the items below items[i]', () => {
  const [entry, more] = validateDocuments('apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 0}]}}\n- {apiVersion: v1, kind: Pod}\n', 'a');
  assert.equal(more, undefined);
  assert.equal(entry?.kind, 'List');
  assert.ok(entry.errors.some((error) => error.path === 'items[0].spec.ports[0].port' && error.line === 4));
  assert.ok(entry.errors.some((error) => error.path === 'items[1].metadata.name' && error.line === 5));
  assert.equal(parseYamlDocuments('{apiVersion: v1, kind: List, items: []}', 'a').documents.length, 0);
});

test('plain MeshConfig needs no envelope, and errors use the paths of the file', () => {
  const [entry] = validateDocuments('accessLogFile: /dev/stdout\ndefaultConfig:\n  concurrency: many\n', 'a');
  assert.deepEqual([entry?.kind, entry?.name, entry?.namespace], ['MeshConfig', 'default', '']);
  assert.deepEqual([entry?.errors[0]?.path, entry?.errors[0]?.line], ['defaultConfig.concurrency', 3]);
  assert.equal(validateDocuments('access_log_file: /dev/stdout\n', 'a')[0]?.kind, 'MeshConfig');
});

test('anchors, aliases and merge keys work', () => {
  const text = `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: it}\nspec:\n  hosts: [a]\n  http:\n  - &one\n    name: x\n    route: [{destination: {host: a}}]\n    match: [{port: 1}]\n  - <<: *one\n    match: [{port: 2}]\n`;
  assert.deepEqual(validateDocuments(text, 'a')[0]?.errors, []);
});

test('what costs too much is refused quickly and by name', () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', ...'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)].join('\n');
  assert.match(validateDocuments(bomb, 'a')[0]?.errors[0]?.message ?? '', /alias/i);
  assert.match(validateDocuments('['.repeat(1_000_000), 'a')[0]?.errors[0]?.message ?? '', /levels deep/);
  assert.match(validateDocuments('- '.repeat(1_000_000), 'a')[0]?.errors[0]?.message ?? '', /levels deep/);
  assert.match(validateDocuments('x'.repeat(4 * 1024 * 1024 + 1), 'a')[0]?.errors[0]?.message ?? '', /bytes/);
});

test('a document that is no object says so', () => {
  for (const text of ['just text', '- a\n- b', '5', '{}']) {
    const [entry] = validateDocuments(text, 'a');
    assert.equal(entry?.valid, false, text);
    assert.notEqual(entry?.errors[0]?.message, '');
  }
});

test('metadata is checked as Kubernetes checks it', () => {
  const errors = (metadata: string): string => JSON.stringify(validateDocuments(`apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: ${metadata}\n`, 'a')[0]?.errors);
  assert.match(errors('{}'), /"metadata.name","message":"is required/);
  assert.match(errors('{name: Not_A_Name}'), /small letters/);
  assert.match(errors('{name: a, labels: {version: 1}}'), /quote it/);
  assert.match(errors('{name: a, namespace: "b c"}'), /not a namespace/);
  assert.equal(errors('{name: a, creationTimestamp: null, resourceVersion: "1", finalizers: [x]}'), '[]');
});

test('paths are read back the way they are written', () => {
  assert.deepEqual(parsePath('spec.http[0].headers["end-user.x"].set.a-b'), ['spec', 'http', 0, 'headers', 'end-user.x', 'set', 'a-b']);
});

test('decoding keeps what the user wrote and fills the rest', () => {
  const [document] = parseYamlDocuments(strict, 'a').documents;
  assert.ok(document?.raw);
  const result = decode(document.raw);
  assert.ok(result.ok);
  assert.deepEqual(result.value.config.spec, { mtls: { mode: 'STRICT' }, portLevelMtls: {} });
  assert.deepEqual(result.value.config.meta, { name: 'it', namespace: 'default', labels: {}, annotations: {}, creationTimestamp: '' });
});

test('in brackets a colon before a comma or the end belongs to the text, as in Kubernetes', () => {
  const specOf = (spec: string): unknown => parseYamlDocuments(object('networking.istio.io/v1', 'ServiceEntry', spec), 'a').documents[0]?.raw?.content['spec'];
  assert.deepEqual(specOf('{addresses: [fd00::, 2001:db8::], hosts: [a]}'), { addresses: ['fd00::', '2001:db8::'], hosts: ['a'] });
  assert.deepEqual(specOf('{address: fd00::, other: ::1}'), { address: 'fd00::', other: '::1' });
  assert.deepEqual(specOf('{address: fd00::}'), { address: 'fd00::' });
  assert.deepEqual(specOf('[{a: , b: [c: 1, d: , "e":]}, [fd00::/8, ::]]'), [{ a: null, b: [{ c: 1 }, { d: null }, { e: null }] }, ['fd00::/8', '::']]);
});
