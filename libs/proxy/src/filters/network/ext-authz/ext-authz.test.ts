import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { CheckRequest } from '@meltemi/api/gen/envoy/service/auth/v3/external_auth.ts';
import { ManualClock, seededRandom } from '@meltemi/base';
import { ResponseFlag, StreamInfo, unknownConnection } from '@meltemi/http';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { LocalState } from '../../../shared-state.ts';
import { unknownNode } from '../../../node.ts';
import { Backend } from '../../../testing/backend.ts';
import { Wire } from '../../../testing/wire.ts';
import { filterExtensions } from '../../registry.ts';
import { GuardedConnection } from '../guarded-connection.ts';
import { networkRbacFilter } from '../rbac/rbac.ts';
import { networkExtAuthzFilter } from './ext-authz.ts';

type Json = Record<string, unknown>;
const typeName = 'envoy.extensions.filters.network.ext_authz.v3.ExtAuthz';
const rbacType = 'envoy.extensions.filters.network.rbac.v3.RBAC';
const context = () => ({ path: 'f', typeUrl: '', warn: () => {}, extensions: filterExtensions() });
const parse = (json: Json) => networkExtAuthzFilter.parse(jsonToBinary(typeName, json), context());
const service: Json = { grpcService: { envoyGrpc: { clusterName: 'authz' } }, transportApiVersion: 'V3', statPrefix: 'tcp.' };

/** A connection from 10.0.0.5 behind Istio's pair of filters: rules that are only tried, and the service that is asked when they match. */
function opened(config: Json = {}, asksAbout = '10.0.0.5') {
  const parsed = parse({ ...service, ...config });
  const policy: Json = { permissions: [{ any: true }], principals: [{ directRemoteIp: { addressPrefix: asksAbout, prefixLen: 32 } }] };
  const rules = networkRbacFilter.parse(jsonToBinary(rbacType, { statPrefix: 'tcp.', shadowRules: { action: 'DENY', policies: { 'istio-ext-authz-opa-ns[a]-policy[b]-rule[0]': policy } }, shadowRulesStatPrefix: 'istio_ext_authz_' }), context());
  assert.ok(parsed.ok && rules.ok);
  const clock = new ManualClock();
  const stats = new FlatStats();
  const backend = new Backend('authz', clock);
  const ctx = { clock, random: seededRandom(1), stats, metrics: new StatsRegistry(), node: unknownNode, clusters: { get: (name: string) => (name === 'authz' ? backend : null) }, direction: 'inbound' as const, shared: new LocalState(), listenerName: 'test', filterName: 'x' };
  const wire = new Wire();
  const info = new StreamInfo({ ...unknownConnection, directRemoteAddress: '10.0.0.5:4000', localAddress: '10.0.0.9:80' }, 0, 0);
  let begun = false;
  const filters = [networkRbacFilter.bind(rules.value, ctx), networkExtAuthzFilter.bind(parsed.value, ctx)];
  const connection = new GuardedConnection(wire, { info, filters, monotonic: () => 0, begin: () => (begun = true), onClose: () => {} });
  connection.start();
  return { wire, info, clock, backend, count: (name: string) => stats.counter(`ext_authz.tcp.${name}`).value, active: () => stats.gauge('ext_authz.tcp.active').value, begun: () => begun };
}

const gated: Json = { filterEnabledMetadata: { filter: 'envoy.filters.network.rbac', path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }], value: { stringMatch: { prefix: 'istio-ext-authz-opa-ns[' } } } };

function answer({ backend }: ReturnType<typeof opened>, code: number): void {
  const bytes = Buffer.from(jsonToBinary('envoy.service.auth.v3.CheckResponse', { status: { code } }));
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(bytes.length, 1);
  const question = backend.requests[0] ?? assert.fail('nothing was asked');
  question.begin(200, ['content-type', 'application/grpc']);
  question.part(Buffer.concat([frame, bytes]));
  question.end(['grpc-status', '0']);
}

test('a connection is held until the service lets it pass', () => {
  const world = opened();
  assert.deepEqual([world.begun(), world.active()], [false, 1]);
  answer(world, 0);
  assert.deepEqual([world.begun(), world.wire.closed, world.count('ok'), world.active()], [true, false, 1, 0]);
});

test('the service is told who talks to whom', () => {
  const { backend } = opened();
  const { source, destination } = CheckRequest.decode(Buffer.from(backend.requests[0]?.body ?? '', 'latin1').subarray(5)).attributes ?? assert.fail('no attributes');
  const of = (peer: typeof source) => (peer?.address?.address?.$case === 'socketAddress' ? [peer.address.address.value.address, peer.address.address.value.portSpecifier?.value] : []);
  assert.deepEqual([of(source), of(destination)], [['10.0.0.5', 4000], ['10.0.0.9', 80]]);
});

test('a denied connection is closed, and the log says why', () => {
  const world = opened();
  answer(world, 7);
  assert.deepEqual([world.begun(), world.wire.closed, world.count('denied'), world.count('cx_closed')], [false, true, 1, 1]);
  assert.equal(world.info.connectionTerminationDetails, 'ext_authz_denied');
  assert.equal(world.info.responseFlags & ResponseFlag.UAEX, ResponseFlag.UAEX);
});

test('a service that is silent denies when its time is over, or lets pass where asked to', () => {
  const closed = opened();
  closed.clock.advance(200);
  assert.deepEqual([closed.wire.closed, closed.info.connectionTerminationDetails, closed.count('error')], [true, 'ext_authz_error', 1]);
  const open = opened({ failureModeAllow: true });
  open.clock.advance(200);
  assert.deepEqual([open.begun(), open.count('failure_mode_allowed')], [true, 1]);
});

test('only connections that the rules before it match are asked about', () => {
  const other = opened(gated, '10.9.9.9');
  assert.deepEqual([other.begun(), other.backend.requests.length, other.count('disabled')], [true, 0, 1]);
  const matched = opened(gated);
  assert.deepEqual([matched.begun(), matched.backend.requests.length], [false, 1]);
});

test('a client that leaves before the answer is forgotten', () => {
  const world = opened();
  world.wire.destroy();
  assert.deepEqual([world.backend.requests[0]?.wasReset, world.active(), world.begun()], [true, 0, false]);
});

test('what it cannot run is refused by its path', () => {
  const result = parse({ bootstrapMetadataLabelsKey: 'a', transportApiVersion: 'V2' });
  assert.deepEqual(result.ok ? [] : result.error.map(({ path }) => path).sort(), ['f.bootstrap_metadata_labels_key', 'f.grpc_service', 'f.stat_prefix', 'f.transport_api_version']);
});
