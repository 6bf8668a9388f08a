import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../../decode.ts';
import { toRawObject } from '../../envelope.ts';
import { table } from '../../testing/verdict.ts';
import { meshConfig } from './kind.ts';
import { overlaidProxyConfig } from './overlay.ts';
import { defaultMeshConfig, meshConfigFrom, readMeshText } from './read.ts';

table(meshConfig, {
  good: [
    ['nothing', '{}'],
    ['an access log', '{accessLogFile: /dev/stdout, accessLogEncoding: JSON, defaultConfig: {proxyMetadata: {A: b}, holdApplicationUntilProxyStarts: true}}'],
    ['an authorizer', '{extensionProviders: [{name: opa, envoyExtAuthzHttp: {service: auth/opa.auth.svc.cluster.local, port: 8181, pathPrefix: /check, statusOnError: "503", includeRequestHeadersInCheck: ["x-*"], timeout: 1s}}]}'],
    ['a provider', '{extensionProviders: [{name: als, envoyHttpAls: {service: a.b, port: 1}}], defaultProviders: {accessLogging: [als]}}'],
  ],
  bad: [
    ['port 0', '{proxyListenPort: 0}', 'spec.proxyListenPort', /65535/],
    ['a connect timeout of two hours', '{connectTimeout: 2h}', 'spec.connectTimeout', /1h/],
    ['an unknown mode', '{outboundTrafficPolicy: {mode: DENY}}', 'spec.outboundTrafficPolicy.mode', /REGISTRY_ONLY/],
    ['a trust domain with a slash', '{trustDomain: a/b}', 'spec.trustDomain', /trust domain/],
  ],
  warns: [
    ['a provider nobody defined', '{defaultProviders: {tracing: [zipkin]}}', 'spec.defaultProviders.tracing[0]', /extensionProviders/],
    ['an authorizer without a port', '{extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: a.b}}]}', 'spec.extensionProviders[0].envoyExtAuthzGrpc.port', /required/],
    ['an authorizer with an odd service', '{extensionProviders: [{name: a, envoyExtAuthzHttp: {service: a/b/c, port: 1}}]}', 'spec.extensionProviders[0].envoyExtAuthzHttp.service', /namespace\/host/],
    ['an authorizer with an unknown status', '{extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: a.b, port: 1, statusOnError: "999"}}]}', 'spec.extensionProviders[0].envoyExtAuthzGrpc.statusOnError', /HTTP status/],
    ['a path prefix that is none', '{extensionProviders: [{name: a, envoyExtAuthzHttp: {service: a.b, port: 1, pathPrefix: check}}]}', 'spec.extensionProviders[0].envoyExtAuthzHttp.pathPrefix', /begin with/],
    ['a provider of nothing', '{extensionProviders: [{name: a}]}', 'spec.extensionProviders[0]', /one of prometheus/],
    ['an unknown field', '{acessLogFile: a}', 'spec.acessLogFile', /did you mean "accessLogFile".*left out/],
  ],
});

test('defaults are those Istio documents', () => {
  const mesh = defaultMeshConfig();
  assert.equal(mesh.proxyInboundListenPort, 15006);
  assert.equal(mesh.connectTimeout, 10_000);
  assert.equal(mesh.outboundTrafficPolicy.mode, 'ALLOW_ANY');
  assert.equal(mesh.rootNamespace, 'istio-system');
  assert.equal(mesh.defaultConfig.proxyAdminPort, 15000);
  assert.equal(mesh.enableAutoMtls, true);
});

const inMap = (mesh: string): unknown => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' }, data: { mesh } });

test('MeshConfig is found in the ConfigMap istio, and checked there', () => {
  const raw = toRawObject(inMap('trustDomain: prod.example\n'));
  assert.ok(raw.ok);
  const good = decode(raw.value);
  assert.ok(good.ok);
  const mesh = meshConfigFrom(good.value.config);
  assert.ok(mesh?.ok);
  assert.equal(mesh.value.trustDomain, 'prod.example');
  const broken = toRawObject(inMap('trustDomain: [1'));
  assert.ok(broken.ok);
  const bad = decode(broken.value);
  assert.match(bad.ok ? '' : (bad.error[0]?.path ?? ''), /^data\.mesh/);
});

test('the mesh goes on without fields nobody knows and without providers that cannot work', () => {
  const text = `{disablePolicyChecks: true, trustDomain: td, extensionProviders: [{name: no-port, envoyExtAuthzGrpc: {service: a.b}}, {name: odd-path, envoyExtAuthzHttp: {service: a.b, port: 1, pathPrefix: x}}, {name: good, prometheus: {}}]}`;
  const { spec, findings } = readMeshText(meshConfig, text);
  assert.deepEqual(findings.errors, []);
  assert.deepEqual(findings.warnings.map(({ path }) => path), ['spec.disablePolicyChecks', 'spec.extensionProviders[0].envoyExtAuthzGrpc.port', 'spec.extensionProviders[1].envoyExtAuthzHttp.pathPrefix']);
  assert.equal(spec.trustDomain, 'td');
  assert.deepEqual(spec.extensionProviders, [{ name: 'no-port' }, { name: 'odd-path' }, { name: 'good', prometheus: {} }]);
});

test('a proxy of its own settings may name fields nobody knows', () => {
  const read = overlaidProxyConfig(defaultMeshConfig().defaultConfig, 'connectTimeout: 1s\nconcurrency: 3\n');
  assert.equal(read.ok && read.value.concurrency, 3);
  assert.equal(overlaidProxyConfig(defaultMeshConfig().defaultConfig, 'concurrency: many').ok, false);
});
