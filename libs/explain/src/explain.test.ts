import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, sampleText } from './testing/ask.ts';
import { loadMesh } from './load.ts';
import { readCalls, readProxyQuestion } from './question.ts';

const pod = (name: string, ip: string, app: string, version: string) => `
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: default, labels: {app: ${app}, version: ${version}, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: bookinfo-${app}, containers: [{name: app, image: app}]}
status: {phase: Running, podIP: ${ip}, podIPs: [{ip: ${ip}}], conditions: [{type: Ready, status: "True"}]}
`;
const bookinfo = `${sampleText('bookinfo/platform/bookinfo.yaml')}\n---\n${sampleText('bookinfo/networking/destination-rule-all.yaml')}${pod('productpage-v1-0', '10.0.0.1', 'productpage', 'v1')}${pod('reviews-v2-0', '10.0.0.4', 'reviews', 'v2')}`;
const productpage = { type: 'sidecar', namespace: 'default', labels: { app: 'productpage', version: 'v1' }, ip: '10.0.0.1', serviceAccount: 'bookinfo-productpage' };
const toReviews = { mode: 'outbound', host: 'reviews:9080', port: 9080, path: '/reviews/0' };

test('jason goes to v2, with the rule that says so and the endpoint over mutual TLS', () => {
  const [jason, other] = ask(`${bookinfo}\n---\n${sampleText('bookinfo/networking/virtual-service-reviews-test-v2.yaml')}`, productpage, { ...toReviews, headers: { 'end-user': 'jason' } }, toReviews);
  assert.equal(jason?.outcome, 'routed');
  assert.equal(jason.listener, '0.0.0.0_9080');
  assert.equal(jason.virtualHost, 'reviews.default.svc.cluster.local:9080');
  assert.equal(jason.cluster, 'outbound|9080|v2|reviews.default.svc.cluster.local');
  assert.deepEqual(jason.endpoints, [{ address: '10.0.0.4:9080', priority: 0, weight: 1, health: 'healthy', tls: 'mtls' }]);
  const rule = jason.steps.find(({ at, matched }) => at === 'route' && matched);
  assert.equal(rule?.origin?.name, 'reviews');
  assert.deepEqual([rule.origin.file, rule.origin.field], ['mesh.yaml', 'spec.http[0].match[0]']);
  assert.equal(other?.cluster, 'outbound|9080|v1|reviews.default.svc.cluster.local');
  assert.match(other.steps.find(({ at, matched }) => at === 'route' && !matched)?.detail ?? '', /end-user is not there/);
});

test('weights are listed, the heaviest first in mind', () => {
  const [answer] = ask(`${bookinfo}\n---\n${sampleText('bookinfo/networking/virtual-service-reviews-90-10.yaml')}`, productpage, toReviews);
  assert.equal(answer?.cluster, 'outbound|9080|v1|reviews.default.svc.cluster.local');
  assert.deepEqual(answer.clusters, [{ name: 'outbound|9080|v1|reviews.default.svc.cluster.local', weight: 90 }, { name: 'outbound|9080|v2|reviews.default.svc.cluster.local', weight: 10 }]);
});

test('of several clusters each is looked at: one that is not there, or has no endpoint, fails its share', () => {
  const split = 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\nspec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v2}, weight: 60}, {destination: {host: reviews, subset: v9}, weight: 25}, {destination: {host: reviews, subset: v3}, weight: 15}, {destination: {host: nobody}, weight: 0}], mirror: {host: nowhere}}]}\n';
  const [answer] = ask(`${bookinfo}\n---\n${split}`, productpage, toReviews);
  assert.deepEqual(answer?.failing?.map(({ name, weight }) => [name.split('|')[2], weight]), [['v9', 25], ['v3', 15]]);
  assert.deepEqual(answer?.steps.filter(({ at }) => at === 'cluster').map(({ matched, detail }) => [matched, detail]), [
    [true, '1 endpoint(s), least_request'],
    [false, 'the proxy has no cluster of this name, no service or subset stands behind it: 25 % of requests end with 503'],
    [true, 'has no endpoint: 15 % of requests end with 503 UH'],
    [false, 'the proxy has no cluster of this name: nothing is mirrored'],
  ]);
});

test('redirects and direct responses are the proxy\'s own answers', () => {
  const details = { mode: 'outbound', host: 'details:9080', port: 9080, path: '/old' };
  const [redirect] = ask(`${bookinfo}\n---\n${sampleText('bookinfo/networking/virtual-service-details-redirect.yaml')}`, productpage, details);
  assert.equal(redirect?.outcome, 'redirect');
  assert.ok([301, 302, 307, 308].includes(redirect.status ?? 0));
  const [direct] = ask(`${bookinfo}\n---\n${sampleText('bookinfo/networking/virtual-service-details-direct-response.yaml')}`, productpage, { ...details, path: '/details/0' });
  assert.equal(direct?.outcome, 'direct_response');
});

test('a host nobody knows passes, or is blocked with 502 over HTTP and closed over TCP', () => {
  const http = { mode: 'outbound', host: 'example.org', port: 9080 };
  const tcp = { mode: 'outbound', address: '198.51.100.7', port: 5000, protocol: 'tcp' };
  const [open, openTcp] = ask(bookinfo, productpage, http, tcp);
  assert.deepEqual([open?.outcome, open?.virtualHost, open?.cluster], ['routed', 'allow_any', 'PassthroughCluster']);
  assert.deepEqual([openTcp?.outcome, openTcp?.cluster], ['routed', 'PassthroughCluster']);
  const [closed, closedTcp] = ask(`${bookinfo}\n---\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\n`, productpage, http, tcp);
  assert.deepEqual([closed?.outcome, closed?.virtualHost, closed?.status], ['direct_response', 'block_all', 502]);
  assert.deepEqual([closedTcp?.outcome, closedTcp?.cluster], ['denied', 'BlackHoleCluster']);
});

test('a STRICT port takes no plaintext, and TLS only with a certificate', () => {
  const call = { mode: 'inbound', host: 'productpage', port: 9080 };
  const answers = ask(`${bookinfo}\n---\n${sampleText('bookinfo/networking/peer-authentication-strict.yaml')}`, productpage, call, { ...call, tls: 'tls' }, { ...call, tls: 'mtls', principal: 'cluster.local/ns/default/sa/a' });
  assert.deepEqual(answers.map(({ outcome }) => outcome), ['no_filter_chain', 'mtls_error', 'routed']);
  assert.equal(answers[2]?.cluster, 'inbound|9080||');
});

test('a gateway without a server for the port has no listener; one with a server answers by its hosts', () => {
  const router = { type: 'router', namespace: 'istio-system', labels: { istio: 'ingressgateway' }, ip: '10.0.0.9' };
  const call = { mode: 'gateway', port: 8080, host: 'shop.example', path: '/productpage' };
  const [nothing] = ask(bookinfo, router, call);
  assert.equal(nothing?.outcome, 'no_listener');
  const [page, elsewhere] = ask(`${bookinfo}\n---\n${sampleText('bookinfo/networking/bookinfo-gateway.yaml')}`, router, call, { ...call, path: '/nothing' });
  assert.equal(page?.cluster, 'outbound|9080||productpage.default.svc.cluster.local');
  assert.equal(elsewhere?.outcome, 'no_route');
  assert.equal(elsewhere.status, 404);
});

test('who speaks something else than the port reads gets a protocol error', () => {
  const [tcp] = ask(bookinfo, productpage, { mode: 'inbound', port: 9080, protocol: 'tcp' });
  assert.equal(tcp?.outcome, 'protocol_error');
});

test('a wrong object is set aside with its place, and everybody else is answered', () => {
  const text = `${bookinfo}\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: bad}\nspec:\n  hosts: [reviews]\n  http:\n  - route: [{destination: {host: reviews}, weight: -1}]\n`;
  const mesh = loadMesh([{ name: 'a.yaml', text }]);
  assert.deepEqual(mesh.setAside.map(({ origin }) => [origin.kind, origin.name, origin.file, origin.field]), [['VirtualService', 'bad', 'a.yaml', 'spec.http[0].route[0].weight']]);
  const [answer] = ask(text, productpage, toReviews);
  assert.equal(answer?.outcome, 'routed');
});

test('a question that cannot be read names the call and the field', () => {
  const calls = readCalls('[{"mode":"outbound"},{"mode":"sideways","pot":80}]');
  assert.deepEqual(calls.ok ? [] : calls.error.map(({ path }) => path).toSorted(), ['calls[1].mode', 'calls[1].pot']);
  assert.equal(readCalls('').ok, true);
  assert.equal(readProxyQuestion('').ok, true);
  assert.equal(readProxyQuestion('{').ok, false);
});

test('a route of a delegate is the delegate\'s, and a denial names policy, rule and line', () => {
  const text = `apiVersion: v1
kind: Service
metadata: {name: a, namespace: default}
spec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root}
spec: {hosts: [a], http: [{match: [{uri: {prefix: /}}], delegate: {name: child}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: child}
spec:
  http:
  - match: [{uri: {prefix: /x}}]
    route: [{destination: {host: a}}]
  - match: [{uri: {prefix: /y}}]
    route: [{destination: {host: a}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no}
spec:
  action: DENY
  rules:
  - to: [{operation: {methods: [PUT]}}]
  - to: [{operation: {methods: [GET]}}]
`;
  const proxy = { type: 'sidecar', namespace: 'default', labels: { app: 'a' }, ip: '10.0.0.1' };
  const [routed, denied] = ask(text, proxy, { mode: 'outbound', host: 'a', port: 80, path: '/y' }, { mode: 'inbound', port: 8080, host: 'a' });
  const rule = routed?.steps.find(({ at, matched }) => at === 'route' && matched)?.origin;
  assert.deepEqual([rule?.name, rule?.field, rule?.line], ['child', 'spec.http[1].match[0]', 18]);
  assert.deepEqual([denied?.outcome, denied?.policy, denied?.rule], ['denied', 'default/no', 'ns[default]-policy[no]-rule[1]']);
  const policy = denied?.steps.find(({ at, matched }) => at === 'http_filter' && matched)?.origin;
  assert.deepEqual([policy?.field, policy?.line], ['spec.rules[1]', 28]);
});

test('claims of a validated token: any rule of its issuer will do, and an audience that is not named is not asked for', () => {
  const text = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: ra}
spec:
  jwtRules:
  - {issuer: me, audiences: [one], jwks: '{"keys":[]}'}
  - {issuer: me, audiences: [two], jwks: '{"keys":[]}'}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: yes}
spec: {rules: [{from: [{source: {requestPrincipals: [me/you]}}]}]}
`;
  const proxy = { type: 'sidecar', namespace: 'default', labels: { app: 'a' }, ip: '10.0.0.1' };
  const call = (jwtClaims: object) => ({ mode: 'inbound', port: 8080, host: 'a', jwtClaims: { iss: 'me', sub: 'you', ...jwtClaims } });
  const answers = ask(text, proxy, call({ aud: 'one' }), call({ aud: ['two'] }), call({}), call({ aud: 'three' }), call({ sub: 'she' }));
  assert.deepEqual(answers.map(({ outcome, details }) => [outcome, details]), [
    ['routed', undefined], ['routed', undefined], ['routed', undefined],
    ['denied', 'jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}'], ['denied', 'rbac_access_denied_matched_policy[none]'],
  ]);
});

test('an answer that a route\'s fault gives names the route and its virtual host', () => {
  const rule = 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: broken}\nspec: {hosts: [reviews], http: [{name: off, fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: reviews}}]}]}\n';
  const [answer] = ask(`${bookinfo}\n---\n${rule}`, productpage, toReviews);
  assert.deepEqual([answer?.outcome, answer?.status, answer?.virtualHost, answer?.route], ['direct_response', 418, 'reviews.default.svc.cluster.local:9080', 'off']);
});

test('where a matcher of a virtual host chooses routes, those alone are looked at; where it chooses none the answer says so', () => {
  const route = (cluster: string) => `{action: {name: x, typed_config: {"@type": type.googleapis.com/envoy.config.route.v3.Route, name: to ${cluster}, match: {prefix: /}, direct_response: {status: 418}}}}`;
  const matcher = `{matcher_tree: {input: {name: x, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: x-team}}, exact_match_map: {map: {shop: ${route('shop')}, guests: ${route('guests')}}}}}`;
  const filter = `apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: own}\nspec: {configPatches: [{applyTo: VIRTUAL_HOST, match: {context: SIDECAR_OUTBOUND}, patch: {operation: ADD, value: {name: own, domains: ["own.example", "own.example:9080"], matcher: ${matcher}}}}]}\n`;
  const call = { ...toReviews, host: 'own.example:9080' };
  const [guests, nobody] = ask(`${bookinfo}\n---\n${filter}`, productpage, { ...call, headers: { 'x-team': 'guests' } }, call);
  assert.deepEqual([guests?.outcome, guests?.status, guests?.route], ['direct_response', 418, 'to guests']);
  const looked = (answer: typeof guests) => answer?.steps.filter(({ at }) => at === 'route').map(({ name, detail }) => [name, detail]);
  assert.deepEqual(looked(guests), [['to guests', 'prefix / matches']]);
  assert.deepEqual([nobody?.outcome, looked(nobody)], ['no_route', [['', 'the matcher of own leads to none of its 2 routes']]]);
});

test('a workload with IPv6 alone is reached on ::', () => {
  const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: six}\nspec: {selector: {app: six}, ports: [{name: http, port: 80}]}\n';
  const [answer] = ask(service, { type: 'sidecar', namespace: 'default', labels: { app: 'six' }, ip: 'fd00::7' }, { mode: 'inbound', port: 80 });
  assert.deepEqual([answer?.listener, answer?.filterChain, answer?.cluster], ['virtualInbound', '::_80', 'inbound|80||']);
});

test('a call by name goes where the application\'s resolver sends it: a Pod of a headless service, the address that the mesh gave a host', () => {
  const yaml = `apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 5432}]}${pod('db-0', '10.0.0.9', 'db', 'v1')}---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: far}
spec: {hosts: [far.example], ports: [{number: 5432, name: tcp, protocol: TCP}], resolution: DNS}
status: {addresses: [{value: 240.240.9.9, host: far.example}]}
`;
  const tcp = (host: string) => ({ mode: 'outbound', host, port: 5432, protocol: 'tcp' });
  const [db, far] = ask(yaml, { ...productpage, metadata: { DNS_CAPTURE: 'true' } }, tcp('db'), tcp('far.example'));
  assert.deepEqual([db?.listener, db?.cluster], ['10.0.0.9_5432', 'outbound|5432||db.default.svc.cluster.local']);
  assert.deepEqual([far?.listener, far?.cluster], ['240.240.9.9_5432', 'outbound|5432||far.example']);
});

test('the host may stand in the headers, and over TLS the server name alone is the host', () => {
  const text = `apiVersion: v1
kind: Service
metadata: {name: a}
spec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.test], tls: {mode: SIMPLE, credentialName: a}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a.test], gateways: [gw], http: [{route: [{destination: {host: a}}]}]}
`;
  const gateway = { type: 'router', namespace: 'default', ip: '10.0.0.1' };
  const call = { mode: 'gateway', port: 443, tls: 'tls' };
  const answers = ask(text, gateway, { ...call, sni: 'a.test' }, { ...call, headers: { Host: 'a.test' } }, { ...call, headers: { ':authority': 'a.test' } }, { ...call, sni: 'a.test', host: 'b.test' });
  assert.deepEqual(answers.map(({ outcome }) => outcome), ['routed', 'routed', 'routed', 'no_virtual_host']);
  const [outbound] = ask(text, { type: 'sidecar', namespace: 'default', ip: '10.0.0.2' }, { mode: 'outbound', port: 80, headers: { host: 'a' } });
  assert.equal(outbound?.cluster, 'outbound|80||a.default.svc.cluster.local');
});

test('where the proxy answers DNS the first step says what it answers, for wildcards too; other proxies and other names have no such step', () => {
  const entry = (name: string, host: string, address: string) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec: {hosts: ["${host}"], addresses: [${address}], ports: [{number: 5432, name: tcp, protocol: TCP}], resolution: STATIC, endpoints: [{address: 10.9.9.9}]}
---
`;
  const yaml = `${entry('far', 'far.example', '192.0.2.77')}${entry('wild', '*.wild.example', '192.0.2.78')}`;
  const calls = ['far.example', 'a.b.wild.example', 'nobody.example', '192.0.2.77'].map((host) => ({ mode: 'outbound', host, port: 5432, protocol: 'tcp' }));
  const first = (metadata: object) => ask(yaml, { ...productpage, metadata }, ...calls).map(({ steps: [step], cluster }) => [step?.at, step?.at === 'dns' ? step.detail : '', cluster]);
  const answers = (ip: string) => ['dns', `the proxy's DNS server answers ${ip}`];
  assert.deepEqual(first({ DNS_CAPTURE: 'true' }), [[...answers('192.0.2.77'), 'outbound|5432||far.example'], [...answers('192.0.2.78'), 'outbound|5432||*.wild.example'], ['listener', '', 'PassthroughCluster'], ['listener', '', 'outbound|5432||far.example']]);
  assert.deepEqual(first({}).map(([at]) => at), ['listener', 'listener', 'listener', 'listener']);
});

test('a connection to a port that the proxy itself listens on for others goes nowhere', () => {
  const answers = ask(bookinfo, productpage, ...[15_001, 15_006].map((port) => ({ mode: 'outbound', address: '198.51.100.50', port, protocol: 'tcp' })));
  assert.deepEqual(answers.map(({ outcome, cluster }) => [outcome, cluster]), [['denied', 'BlackHoleCluster'], ['denied', 'BlackHoleCluster']]);
});

test('chains without names are counted where none fits', () => {
  const gateway = 'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: cross}\nspec: {selector: {istio: cross}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ["*.local"]}]}\n';
  const [answer] = ask(`${bookinfo}\n---\n${gateway}`, { type: 'router', namespace: 'default', labels: { istio: 'cross' }, ip: '10.0.0.9' }, { mode: 'gateway', host: 'reviews.default.svc.cluster.local', port: 15443, protocol: 'tcp' });
  assert.equal(answer?.outcome, 'no_filter_chain');
  assert.match(answer.steps.at(-1)?.detail ?? '', /^none of \d+ filter chains takes/);
});
