import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDay } from '../testing/cases.ts';
import { applyFix } from './apply-fix.ts';
import { fixTexts } from './fix-texts.ts';
import type { SourceFix } from './source-fix.ts';

const fix = (text: string) => fixTexts([{ name: 'a.yaml', text }], { now: testDay });

/** Before, after, and the codes that are gone. */
const cases: Readonly<Record<string, readonly [before: string, after: string, codes: readonly string[]]>> = {
  'a misspelt field': [
    'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a} # the rule\nspec:\n  host: a\n  trafficPolcy: # mutual\n    tls: {mode: ISTIO_MUTUAL}\n',
    'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a} # the rule\nspec:\n  host: a\n  trafficPolicy: # mutual\n    tls: {mode: ISTIO_MUTUAL}\n',
    ['IST0106'],
  ],
  'a misspelt value': [
    'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec:\n  mtls:\n    mode: STRCT   # no plain text\n',
    'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec:\n  mtls:\n    mode: STRICT   # no plain text\n',
    ['IST0106'],
  ],
  'the old percent of a delay': [
    'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n  - fault:\n      delay:\n        percent: 50 # half\n        fixedDelay: 1s\n    redirect: {uri: /}\n',
    'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n  - fault:\n      delay:\n        percentage: {value: 50} # half\n        fixedDelay: 1s\n    redirect: {uri: /}\n',
    ['IST0002'],
  ],
  'injection asked for by an annotation': [
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  namespace: shop\n  annotations:\n    sidecar.istio.io/inject: "true"\nspec:\n  containers: [{name: a, image: b}]\n',
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  namespace: shop\n  labels:\n    sidecar.istio.io/inject: "true"\nspec:\n  containers: [{name: a, image: b}]\n',
    ['IST0135'],
  ],
  'an annotation of pods on their Deployment': [
    'apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n  annotations:\n    proxy.istio.io/config: "{concurrency: 1}"\n    other: kept\nspec:\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata:\n      labels: {app: a}\n    spec: {containers: [{name: a, image: b}]}\n',
    'apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n  annotations:\n    other: kept\nspec:\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata:\n      annotations:\n        proxy.istio.io/config: "{concurrency: 1}"\n      labels: {app: a}\n    spec: {containers: [{name: a, image: b}]}\n',
    ['IST0107'],
  ],
  'a misspelt annotation': [
    'apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {networking.istio.io/exportto: "*"}}\nspec: {ports: [{name: http, port: 80}]}\n',
    'apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {networking.istio.io/exportTo: "*"}}\nspec: {ports: [{name: http, port: 80}]}\n',
    ['IST0108'],
  ],
  'ports whose protocol is obvious, and no others': [
    'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - name: web-grpc # was grpc-web\n    port: 9000\n  - {name: site, port: 8080}\n  - name: what\n    port: 9001\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec:\n  ports:\n  - port: 80\n',
    'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - name: web-grpc # was grpc-web\n    appProtocol: grpc\n    port: 9000\n  - {appProtocol: http, name: site, port: 8080}\n  - name: what\n    port: 9001\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec:\n  ports:\n  - name: http\n    port: 80\n',
    ['IST0118', 'IST0118', 'IST0118'],
  ],
  'rules and matches that are never used': [
    'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n  - match: [{uri: {exact: /a}}]\n    redirect: {uri: /1}\n  # the second\n  - match:\n    - uri: {exact: /a}\n    - uri: {exact: /b}\n    redirect: {uri: /2}\n  - redirect: {uri: /3}\n  - redirect: {uri: /4}\n  - match: [{uri: {exact: /c}}]\n    redirect: {uri: /5}\n',
    'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n  - match: [{uri: {exact: /a}}]\n    redirect: {uri: /1}\n  # the second\n  - match:\n    - uri: {exact: /b}\n    redirect: {uri: /2}\n  - redirect: {uri: /3}\n',
    ['IST0130', 'IST0130', 'IST0131'],
  ],
  'a selector of a Kubernetes Gateway': [
    'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec:\n  selector:\n    matchLabels:\n      gateway.networking.k8s.io/gateway-name: gate\n  action: DENY\n  rules: [{}]\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: gate-1\n  labels: {gateway.networking.k8s.io/gateway-name: gate, sidecar.istio.io/inject: "true"}\nspec: {containers: [{name: istio-proxy, image: a}]}\n',
    'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec:\n  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gate}]\n  action: DENY\n  rules: [{}]\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: gate-1\n  labels: {gateway.networking.k8s.io/gateway-name: gate, sidecar.istio.io/inject: "true"}\nspec: {containers: [{name: istio-proxy, image: a}]}\n',
    ['IST0166'],
  ],
};

for (const [name, [before, after, codes]] of Object.entries(cases))
  test(`mends ${name}, keeps all else as it was written, and leaves nothing to mend`, () => {
    const { changed, fixed, left } = fix(before);
    assert.equal(changed[0]?.after, after);
    assert.deepEqual(fixed.map(({ code }) => code).sort(), codes);
    assert.deepEqual(left.filter((message) => message.fix), []);
    assert.deepEqual(fix(after).changed, []);
  });

test('files in JSON stay JSON', () => {
  const { changed } = fix('{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 8080, "name": "site"}]}}');
  assert.deepEqual((JSON.parse(changed[0]?.after ?? '') as { spec: unknown }).spec, { ports: [{ appProtocol: 'http', port: 8080, name: 'site' }] });
});

test('objects in a List are mended where they are', () => {
  const { changed } = fix('apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: a, image: b}]}}\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec:\n    ports:\n    - port: 80\n');
  assert.match(changed[0]?.after ?? '', /\n {4}- name: http\n {6}port: 80\n$/);
});

test('what comes from an anchor is not touched: other places use it, too', () => {
  const text = 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nx: &port {port: 80}\nspec:\n  ports:\n  - *port\n';
  assert.deepEqual(fix(text).changed, []);
});

test('a misspelt field beside the right one is left to its author', () => {
  const text = 'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  host: a\n  hots: b\n';
  assert.deepEqual(fix(text).changed, []);
});

/** What an edit makes of "a: 1 …". */
const edits: readonly (readonly [name: string, fix: SourceFix, before: string, after: string | undefined])[] = [
  ['takes the last key of a flow map out', { do: 'remove', path: 'm.b' }, 'm: {a: 1, b: 2} # x\n', 'm: {a: 1} # x\n'],
  ['takes the first key of a flow map out', { do: 'remove', path: 'm.a' }, 'm: {a: 1, b: 2}\n', 'm: {b: 2}\n'],
  ['takes a map that becomes empty out', { do: 'remove', path: 'm.n.a' }, 'm:\n  n:\n    a: 1\n  o: 2\n', 'm:\n  o: 2\n'],
  ['hands the dash on', { do: 'remove', path: 'l[0].a' }, 'l:\n- a: 1\n  b: 2\n', 'l:\n- b: 2\n'],
  ['takes an item with all its lines out', { do: 'remove', path: 'l[0]' }, 'l:\n- a: |\n    x\n    y\n  b: 2\n- c\n', 'l:\n- c\n'],
  ['never empties a document', { do: 'remove', path: 'a' }, 'a: 1\n', undefined],
  ['makes maps that are not there', { do: 'insert', path: 'm.in.out', key: 'k', value: 'v' }, 'm:\n  a: 1\n', 'm:\n  a: 1\n  in:\n    out:\n      k: v\n'],
  ['fills a key without a value', { do: 'insert', path: 'm', key: 'k', value: 'true' }, 'm:\nb: 1\n', 'm: {k: "true"}\nb: 1\n'],
  ['fills an empty flow map', { do: 'insert', path: 'm', key: 'k', value: 1 }, 'm: {}\n', 'm: {k: 1}\n'],
  ['does not write a key twice', { do: 'insert', path: 'm', key: 'a', value: 1 }, 'm: {a: 2}\n', undefined],
  ['finds snake_case by its camelCase', { do: 'rename', path: 'm.someName', to: 'other' }, 'm: {some_name: 1}\n', 'm: {other: 1}\n'],
  ['keeps a missing newline at the end', { do: 'remove', path: 'b' }, 'a: 1\nb: 2', 'a: 1\n'],
  ['does nothing when a part cannot be done', { do: 'all', fixes: [{ do: 'remove', path: 'a' }, { do: 'remove', path: 'gone' }] }, 'a: 1\nb: 2\n', undefined],
];
for (const [name, edit, before, after] of edits) test(`an edit ${name}`, () => assert.equal(applyFix(before, edit, { document: 0, pathInFile: (path) => path }), after));
