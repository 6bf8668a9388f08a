import assert from 'node:assert/strict';
import { test } from 'node:test';
import { binaryToJson } from '@meltemi/api';
import { xdsType } from '@meltemi/xds';
import { bookinfo, configsOf, jsonOf, meshOf, productpage } from '../testing/mesh.test-support.ts';
import { translate } from '../translate/translate.ts';
import { modeForPort, mtlsPolicyFor } from './peer-authentication.ts';
import type { PushContext } from './push-context.ts';

interface Written {
  readonly name?: string;
  readonly namespace?: string;
  /** creationTimestamp. */
  readonly born?: string;
  readonly spec: string;
}

function policies(...written: readonly Written[]): string {
  return written.map(({ name = 'default', namespace = 'default', born = '2026-01-01T00:00:00Z', spec }) => `---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "${born}"}\nspec: ${spec}\n`).join('');
}

function modeOf(yaml: string, workload: { readonly namespace?: string; readonly app?: string; readonly port?: number } = {}): string {
  const { peerAuthentications: index } = meshOf(configsOf(yaml));
  return modeForPort(mtlsPolicyFor(index, { namespace: workload.namespace ?? 'default', labels: { app: workload.app ?? 'x' } }), workload.port ?? 80);
}

const strictMesh: Written = { namespace: 'istio-system', spec: '{mtls: {mode: STRICT}}' };

test('a rule that says nothing, or UNSET, inherits from the next wider one; PERMISSIVE at the end', () => {
  for (const silent of ['{}', '{mtls: {}}', '{mtls: {mode: UNSET}}']) {
    assert.equal(modeOf(policies({ spec: silent })), 'PERMISSIVE');
    assert.equal(modeOf(policies(strictMesh, { spec: silent })), 'STRICT');
    assert.equal(modeOf(policies(strictMesh, { spec: '{mtls: {mode: DISABLE}}' }, { name: 'w', spec: `{selector: {matchLabels: {app: x}}, ${silent.slice(1)}` })), 'DISABLE');
  }
});

test('in the root namespace a rule with a selector is for nobody', () => {
  const yaml = policies(strictMesh, { name: 'w', namespace: 'istio-system', spec: '{selector: {matchLabels: {app: x}}, mtls: {mode: DISABLE}, portLevelMtls: {80: {mode: DISABLE}}}' });
  assert.deepEqual([modeOf(yaml, { namespace: 'istio-system' }), modeOf(yaml)], ['STRICT', 'STRICT']);
});

test('a port that is UNSET has its workload\'s mode, and other workloads\' ports are not touched', () => {
  const yaml = policies(strictMesh, { name: 'w', spec: '{selector: {matchLabels: {app: x}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {80: {mode: UNSET}, 81: {mode: DISABLE}}}' });
  assert.deepEqual([80, 81, 82].map((port) => modeOf(yaml, { port })), ['PERMISSIVE', 'DISABLE', 'PERMISSIVE']);
  assert.equal(modeOf(yaml, { app: 'y', port: 81 }), 'STRICT');
});

test('the oldest of several at one level wins', () => {
  const yaml = policies({ name: 'a-young', born: '2026-02-01T00:00:00Z', spec: '{mtls: {mode: DISABLE}}' }, { name: 'z-old', spec: '{mtls: {mode: STRICT}}' });
  assert.equal(modeOf(yaml), 'STRICT');
});

interface Chain {
  readonly filter_chain_match?: { readonly destination_port?: number; readonly transport_protocol?: string };
  readonly transport_socket?: unknown;
}

/** Ways into a port of productpage's sidecar: "tls" and "raw_buffer", mutual TLS marked. */
function waysInto(push: PushContext, port: number | undefined): string[] {
  const listeners = jsonOf(translate(push, productpage(), { typeUrl: xdsType.listener, names: ['virtualInbound'] })) as Record<string, { readonly filter_chains: readonly Chain[] }>;
  const chains = Object.values(listeners)[0]?.filter_chains.filter(({ filter_chain_match: match }) => match?.destination_port === port) ?? [];
  return [...new Set(chains.map(({ filter_chain_match: match, transport_socket: socket }) => `${match?.transport_protocol}${socket === undefined ? '' : ' mutual'}`))].toSorted();
}

const productpageRule = (ports: string) => meshOf([...bookinfo(), ...configsOf(policies(strictMesh, { name: 'w', spec: `{selector: {matchLabels: {app: productpage}}, portLevelMtls: ${ports}}` }))]);

test('a port that is DISABLE takes plaintext only, and clients are told not to offer it mutual TLS', () => {
  const push = productpageRule('{9080: {mode: DISABLE}}');
  assert.deepEqual(waysInto(push, 9080), ['raw_buffer']);
  const endpoints = (service: string): string => {
    const name = `outbound|9080||${service}.default.svc.cluster.local`;
    const assignment = translate(push, productpage(), { typeUrl: xdsType.endpoint, names: [name] }).resources.get(name) ?? assert.fail(`no ${name}`);
    return JSON.stringify(binaryToJson('envoy.config.endpoint.v3.ClusterLoadAssignment', assignment.any.value));
  };
  assert.doesNotMatch(endpoints('productpage'), /tlsMode/);
  assert.match(endpoints('details'), /"tlsMode":"istio"/);
});

test('a port\'s rule holds also when no service declares the port', () => {
  const push = productpageRule('{9999: {mode: DISABLE}, 9998: {mode: PERMISSIVE}}');
  assert.deepEqual(waysInto(push, undefined), ['tls mutual'], 'STRICT for all others');
  assert.deepEqual(waysInto(push, 9999), ['raw_buffer'], 'TLS there is the application\'s own, bytes like others');
  assert.deepEqual(waysInto(push, 9998), ['raw_buffer', 'tls', 'tls mutual']);
  assert.deepEqual(waysInto(push, 9080), ['tls mutual']);
});
