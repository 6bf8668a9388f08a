import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configsOf, meshOf, podYaml } from '../../testing/mesh.test-support.ts';
import { pemsFor, secretYaml } from '../../testing/pems.test-support.ts';
import type { Condition } from '../conditions.ts';
import type { GatewayStatus } from './gateway-status.ts';
import type { PolicyStatus } from './policy-status.ts';
import type { RouteStatus } from './route-status.ts';
import { gatewayApiStatus } from './status.ts';

const object = (kind: string, name: string, spec: string, namespace = 'default') => `---\napiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {${spec}}\n`;
const gateway = (listeners: string, more = '') => object('Gateway', 'gw', `gatewayClassName: istio, listeners: [${listeners}]${more}`);
const http = '{name: http, port: 80, protocol: HTTP}';
const route = (spec: string, namespace = 'default', kind = 'HTTPRoute') => object(kind, 'web', spec, namespace);
const service = (name: string, ports = '[{name: http, port: 80}]') => `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: ${ports}, selector: {app: ${name}}}\n`;
const workload = (app: string, ip: string) => `---\n${podYaml(app, ip, { labels: { app } })}`;
const toA = 'rules: [{backendRefs: [{name: a, port: 80}]}]';

function statusOf<Status>(yaml: string, kind: string, name: string, namespace = 'default'): Status | undefined {
  return gatewayApiStatus(meshOf(configsOf(yaml)), { group: 'gateway.networking.k8s.io', kind, name, namespace }) as Status | undefined;
}

/** "Accepted=True Accepted, …" */
function shortly(conditions: readonly Condition[] = []): string {
  return conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`).join(', ');
}

const routeConditions = (yaml: string, namespace = 'default', kind = 'HTTPRoute') => statusOf<RouteStatus>(yaml, kind, 'web', namespace)?.parents.map(({ conditions }) => shortly(conditions));
const allWell = 'Accepted=True Accepted, ResolvedRefs=True ResolvedRefs';

test('a route that is bound says so, and to how many listeners', () => {
  const [parent] = statusOf<RouteStatus>(gateway('{name: one, port: 80, protocol: HTTP}, {name: two, port: 81, protocol: HTTP}') + service('a') + route(`parentRefs: [{name: gw}], ${toA}`), 'HTTPRoute', 'web')?.parents ?? [];
  assert.equal(parent?.controllerName, 'istio.io/gateway-controller');
  assert.equal(parent.parentRef.name, 'gw');
  assert.equal(shortly(parent.conditions), allWell);
  assert.match(parent.conditions[0]?.message ?? '', /bound to 2 parents/);
});

for (const [name, yaml, expected] of [
  ['a listener that is not there', gateway(http) + service('a') + route(`parentRefs: [{name: gw, sectionName: nothing}], ${toA}`), 'Accepted=False NoMatchingParent, ResolvedRefs=True ResolvedRefs'],
  ['a hostname of no listener', gateway('{name: http, port: 80, protocol: HTTP, hostname: a.example}') + service('a') + route(`parentRefs: [{name: gw}], hostnames: [b.example], ${toA}`), 'Accepted=False NoMatchingListenerHostname, ResolvedRefs=True ResolvedRefs'],
  ['a kind the listener does not take', gateway('{name: http, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}') + service('a') + route(`parentRefs: [{name: gw}], ${toA}`), 'Accepted=False NotAllowedByListeners, ResolvedRefs=True ResolvedRefs'],
  ['a backend that does not exist', gateway(http) + route(`parentRefs: [{name: gw}], ${toA}`), 'Accepted=True Accepted, ResolvedRefs=False BackendNotFound'],
  ['a backend that is no Service', gateway(http) + route('parentRefs: [{name: gw}], rules: [{backendRefs: [{group: x.example, kind: Bucket, name: a}]}]'), 'Accepted=True Accepted, ResolvedRefs=False InvalidKind'],
  ['a backend of another namespace', gateway(http) + route('parentRefs: [{name: gw}], rules: [{backendRefs: [{name: a, namespace: b, port: 80}]}]'), 'Accepted=True Accepted, ResolvedRefs=False RefNotPermitted'],
  ['a filter that is not supported', gateway(http) + route('parentRefs: [{name: gw}], rules: [{filters: [{type: ExtensionRef, extensionRef: {group: x, kind: Y, name: z}}]}]'), 'Accepted=True Accepted, ResolvedRefs=False InvalidFilter'],
  ['a Service of the mesh that is not there', route(`parentRefs: [{group: "", kind: Service, name: nothing}], ${toA}`), 'Accepted=False NoMatchingParent, ResolvedRefs=False BackendNotFound'],
] as const) {
  test(`a route tells of ${name}`, () => assert.deepEqual(routeConditions(yaml), [expected]));
}

test('a route of a namespace that the listener does not take', () => {
  assert.deepEqual(routeConditions(gateway(http) + route(`parentRefs: [{name: gw, namespace: default}], ${toA}`, 'other'), 'other'), ['Accepted=False NotAllowedByListeners, ResolvedRefs=False BackendNotFound']);
});

test('each parent has an entry; those of other controllers have none', () => {
  const nginx = object('Gateway', 'theirs', `gatewayClassName: nginx, listeners: [${http}]`);
  const status = statusOf<RouteStatus>(gateway(http) + nginx + service('a') + route(`parentRefs: [{name: theirs}, {name: gw}, {group: "", kind: Service, name: a}], ${toA}`), 'HTTPRoute', 'web');
  assert.deepEqual(status?.parents.map(({ parentRef }) => parentRef.name), ['gw', 'a']);
  assert.equal(statusOf(nginx, 'Gateway', 'theirs'), undefined);
});

test('a route that cannot be converted is among the objects set aside, with the field to blame', () => {
  const push = meshOf(configsOf(gateway(http) + service('a') + route('parentRefs: [{name: gw}], rules: [{sessionPersistence: {sessionName: x}, backendRefs: [{name: a, port: 80}]}]')));
  assert.deepEqual(push.quarantined.map(({ key, errors }) => [key.kind, key.name, errors[0]?.path]), [['HTTPRoute', 'web', 'spec.rules[0].sessionPersistence']]);
});

const gatewayOf = (yaml: string) => statusOf<GatewayStatus>(yaml, 'Gateway', 'gw');

test('a Gateway says which Service serves it, and counts the routes of each listener', () => {
  const front = service('gw-istio') + workload('gw-istio', '10.0.0.1');
  const status = gatewayOf(gateway('{name: one, port: 80, protocol: HTTP}, {name: two, port: 81, protocol: HTTP}') + front.replace('port: 80}', 'port: 80}, {name: http2, port: 81}') + service('a') + route(`parentRefs: [{name: gw, sectionName: one}], ${toA}`));
  assert.equal(shortly(status?.conditions), 'Accepted=True Accepted, Programmed=True Programmed, ResolvedRefs=True ResolvedRefs');
  assert.match(status?.conditions[1]?.message ?? '', /gw-istio\.default\.svc\.cluster\.local:80, gw-istio\.default\.svc\.cluster\.local:81/);
  assert.deepEqual(status?.addresses, [{ type: 'Hostname', value: 'gw-istio.default.svc.cluster.local' }]);
  assert.deepEqual(status.listeners?.map(({ name, attachedRoutes }) => [name, attachedRoutes]), [['one', 1], ['two', 0]]);
  assert.deepEqual(status.listeners?.[0]?.supportedKinds.map(({ kind }) => kind), ['HTTPRoute', 'GRPCRoute']);
  assert.equal(shortly(status.listeners?.[0]?.conditions), 'Accepted=True Accepted, Conflicted=False NoConflicts, Programmed=True Programmed, ResolvedRefs=True ResolvedRefs');
});

for (const [name, yaml, expected] of [
  ['no Service', gateway(http), 'Programmed=False AddressNotUsable'],
  ['a Service without workloads', gateway(http) + service('gw-istio'), 'Programmed=False AddressNotAssigned'],
  ['a Service without the port', gateway(http) + service('gw-istio', '[{name: http, port: 8080}]') + workload('gw-istio', '10.0.0.1'), 'Programmed=False AddressNotUsable'],
  ['workloads that say so by label', `${gateway(http)}---\n${podYaml('x', '10.0.0.1', { labels: { 'gateway.networking.k8s.io/gateway-name': 'gw' } })}`, 'Programmed=True Programmed'],
] as const) {
  test(`a Gateway with ${name}`, () => assert.ok(shortly(gatewayOf(yaml)?.conditions).includes(expected), shortly(gatewayOf(yaml)?.conditions)));
}

for (const [name, listeners, expected] of [
  ['a protocol that nobody speaks', '{name: a, port: 80, protocol: UDP}', 'Accepted=False UnsupportedProtocol'],
  ['a kind it cannot take', '{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: TCPRoute}]}}', 'ResolvedRefs=False InvalidRouteKinds'],
  ['a Secret that is not there', '{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: nothing}]}}', 'Programmed=False Invalid, ResolvedRefs=False InvalidCertificateRef'],
  ['a Secret it may not use', '{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert, namespace: other}]}}', 'ResolvedRefs=False RefNotPermitted'],
] as const) {
  test(`a listener tells of ${name}`, () => assert.ok(shortly(gatewayOf(gateway(listeners))?.listeners?.[0]?.conditions).includes(expected), shortly(gatewayOf(gateway(listeners))?.listeners?.[0]?.conditions)));
}

test('of two listeners that want one port the later is in conflict; the Gateway stays accepted while one is valid', () => {
  const status = gatewayOf(gateway('{name: one, port: 80, protocol: HTTP}, {name: two, port: 80, protocol: TCP}'));
  assert.match(shortly(status?.listeners?.[1]?.conditions), /Accepted=False ProtocolConflict, Conflicted=True ProtocolConflict, Programmed=False ProtocolConflict/);
  assert.match(shortly(status?.conditions), /Accepted=True ListenersNotValid/);
  assert.match(shortly(gatewayOf(gateway('{name: one, port: 80, protocol: UDP}'))?.conditions), /Accepted=False ListenersNotValid/);
});

test('a certificate that is there and whole', () => {
  const secret = '---\napiVersion: v1\nkind: Secret\nmetadata: {name: cert}\ntype: kubernetes.io/tls\ndata: {tls.crt: YQ==, tls.key: YQ==}\n';
  const conditions = (more: string) => shortly(gatewayOf(gateway('{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}') + more)?.listeners?.[0]?.conditions);
  assert.match(conditions(secret), /ResolvedRefs=True/);
  assert.match(conditions(secret.replace('tls.key', 'other')), /ResolvedRefs=False InvalidCertificateRef/);
});

test('a Gateway of another cluster is accepted and left alone', () => {
  const status = statusOf<GatewayStatus>(object('Gateway', 'far', `gatewayClassName: istio-remote, addresses: [{value: 1.2.3.4}], listeners: [${http}]`), 'Gateway', 'far');
  assert.equal(shortly(status?.conditions), 'Accepted=True Accepted, Programmed=True Programmed');
  assert.deepEqual(status?.addresses, [{ type: 'IPAddress', value: '1.2.3.4' }]);
});

test('a GatewayClass of ours is accepted', () => {
  const yaml = '---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: mine}\nspec: {controllerName: istio.io/gateway-controller}\n';
  assert.equal(shortly(statusOf<{ readonly conditions: Condition[] }>(yaml, 'GatewayClass', 'mine', '')?.conditions), 'Accepted=True Accepted');
});

test('a BackendTLSPolicy tells per target and per Gateway that uses it; of two for one target the older counts', () => {
  const policy = (name: string, target = 'a') => object('BackendTLSPolicy', name, `targetRefs: [{group: "", kind: Service, name: ${target}}], validation: {hostname: a.example, wellKnownCACertificates: System}`);
  const yaml = gateway(http) + service('a') + route(`parentRefs: [{name: gw}], ${toA}`) + policy('first') + policy('second') + policy('third', 'nothing');
  const of = (name: string) => statusOf<PolicyStatus>(yaml, 'BackendTLSPolicy', name)?.ancestors.map(({ ancestorRef, conditions }) => `${ancestorRef.kind}: ${shortly(conditions)}`);
  assert.deepEqual(of('first'), [`Service: ${allWell}`, `Gateway: ${allWell}`]);
  assert.deepEqual(of('second'), ['Service: Accepted=False Conflicted, ResolvedRefs=True ResolvedRefs']);
  assert.deepEqual(of('third'), ['Service: Accepted=False TargetNotFound, ResolvedRefs=True ResolvedRefs']);
});

test('a BackendTLSPolicy that is not for us takes nothing from one that is', () => {
  const policy = (name: string, created: string, annotation = '') => `---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: ${name}, namespace: default, creationTimestamp: "${created}", annotations: {${annotation}}}\nspec: {targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: ${name}.example, wellKnownCACertificates: System}}\n`;
  const yaml = service('a') + policy('theirs', '2024-01-01T00:00:00Z', 'istio.io/ignore-policy-attachment: "true"') + policy('ours', '2025-01-01T00:00:00Z');
  const of = (name: string) => statusOf<PolicyStatus>(yaml, 'BackendTLSPolicy', name)?.ancestors.map(({ conditions }) => shortly(conditions));
  assert.deepEqual(of('theirs'), ['Accepted=False IgnoredByIstio']);
  assert.deepEqual(of('ours'), [allWell]);
  assert.deepEqual(meshOf(configsOf(yaml)).gatewayApi.destinationRules.map(({ spec }) => spec.trafficPolicy?.tls?.sni), ['ours.example']);
});

test('a ConfigMap that holds no roots is told of, and its policy trusts nobody', () => {
  const policy = object('BackendTLSPolicy', 'p', 'targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.example, caCertificateRefs: [{group: "", kind: ConfigMap, name: roots}]}');
  const roots = (data: string) => `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: roots}\ndata: {${data}}\n`;
  const of = (data: string) => shortly(statusOf<PolicyStatus>(service('a') + policy + roots(data), 'BackendTLSPolicy', 'p')?.ancestors[0]?.conditions);
  const refused = 'Accepted=False NoValidCACertificate, ResolvedRefs=False InvalidCACertificateRef';
  assert.deepEqual([of('ca.crt: hello'), of('other: x'), of(`ca.crt: ${JSON.stringify(pemsFor('test').root)}`)], [refused, refused, allWell]);
  const asksClients = (data: string) => shortly(gatewayOf(gateway('{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}', ', tls: {frontend: {default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: roots}]}}}}') + secretYaml('default/cert', { 'tls.crt': 'a', 'tls.key': 'b' }).replace(/^/, '---\n') + roots(data))?.listeners?.[0]?.conditions);
  assert.match(asksClients('ca.crt: hello'), /ResolvedRefs=False InvalidCACertificateRef/);
  assert.match(asksClients(`ca.crt: ${JSON.stringify(pemsFor('test').root)}`), /ResolvedRefs=True/);
});

test('parameters that are not there make a Gateway that is not accepted', () => {
  const of = (parameters: string) => shortly(gatewayOf(`${gateway(http, `, infrastructure: {parametersRef: {${parameters}}}`)}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: there}\ndata: {}\n`)?.conditions);
  assert.match(of('group: "", kind: ConfigMap, name: there'), /Accepted=True Accepted/);
  assert.match(of('group: "", kind: ConfigMap, name: nowhere'), /Accepted=False InvalidParameters/);
  assert.match(of('group: x.example, kind: Parameters, name: there'), /Accepted=False InvalidParameters/);
});

test('an unchanged route is the same internal object after another one changed, and nothing is converted anew for endpoints', () => {
  const yaml = gateway(http) + service('a') + route(`parentRefs: [{name: gw}], hostnames: [a.example], ${toA}`);
  const configs = configsOf(yaml);
  const first = meshOf(configs);
  const more = meshOf([...configs, ...configsOf(object('HTTPRoute', 'other', `parentRefs: [{name: gw}], hostnames: [b.example], ${toA}`))], {}, first);
  const named = (push: typeof first, host: string) => push.gatewayApi.virtualServices.find(({ spec }) => spec.hosts[0] === host);
  assert.equal(named(more, 'a.example'), named(first, 'a.example'));
  assert.equal(more.gatewayApi.gateways[0], first.gatewayApi.gateways[0]);
  const endpoints = meshOf([...configs, ...configsOf(workload('a', '10.0.0.9'))], {}, first);
  assert.equal(endpoints.gatewayApi, first.gatewayApi);
  assert.equal(endpoints.virtualServices, first.virtualServices);
});
