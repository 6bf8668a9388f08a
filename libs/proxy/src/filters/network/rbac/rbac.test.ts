import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { ManualClock, seededRandom } from '@meltemi/base';
import { StreamInfo, unknownConnection } from '@meltemi/http';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { LocalState } from '../../../shared-state.ts';
import { unknownNode } from '../../../node.ts';
import { Wire } from '../../../testing/wire.ts';
import { filterExtensions } from '../../registry.ts';
import { GuardedConnection } from '../guarded-connection.ts';
import { networkRbacFilter } from './rbac.ts';

type Json = Record<string, unknown>;
const typeName = 'envoy.extensions.filters.network.rbac.v3.RBAC';
const parse = (json: Json) => networkRbacFilter.parse(jsonToBinary(typeName, json), { path: 'f', typeUrl: '', warn: () => {}, extensions: filterExtensions() });
const from = (ip: string): Json => ({ permissions: [{ any: true }], principals: [{ directRemoteIp: { addressPrefix: ip, prefixLen: 32 } }] });

function guarded(json: Json) {
  const parsed = parse({ statPrefix: 'tcp.', ...json });
  assert.ok(parsed.ok);
  const stats = new FlatStats();
  const config = networkRbacFilter.bind(parsed.value, { clock: new ManualClock(), random: seededRandom(1), stats, metrics: new StatsRegistry(), node: unknownNode, clusters: { get: () => null }, direction: 'inbound', shared: new LocalState(), listenerName: 'test', filterName: 'rbac' });
  const wire = new Wire();
  const info = new StreamInfo({ ...unknownConnection, directRemoteAddress: '10.0.0.5:4000', localAddress: '10.0.0.9:80' }, 0, 0);
  const connection = new GuardedConnection(wire, { info, filters: [config], monotonic: () => 0, begin: () => {}, onClose: () => {} });
  connection.start();
  return { wire, info, count: (name: string) => stats.counter(`tcp.rbac.${name}`).value };
}

test('a denied connection is closed at its first bytes, and the log says by which policy', () => {
  const { wire, info, count } = guarded({ rules: { action: 'DENY', policies: { 'no ann': from('10.0.0.5') } } });
  assert.equal(wire.closed, false);
  wire.receive('hello');
  assert.equal(wire.closed, true);
  assert.equal(info.connectionTerminationDetails, 'rbac_access_denied_matched_policy[no_ann]');
  assert.deepEqual([count('allowed'), count('denied')], [0, 1]);
});

test('an allowed connection is checked once, or each time when asked to', () => {
  const once = guarded({ rules: { policies: { p: from('10.0.0.5') } } });
  const always = guarded({ rules: { policies: { p: from('10.0.0.5') } }, enforcementType: 'CONTINUOUS' });
  for (const { wire } of [once, always]) for (const part of ['a', 'b', 'c']) wire.receive(part);
  assert.deepEqual([once.wire.closed, once.count('allowed'), always.count('allowed')], [false, 1, 3]);
});

test('shadow policies close nothing', () => {
  const { wire, info, count } = guarded({ shadowRules: {}, shadowRulesStatPrefix: 'istio_dry_run_allow_' });
  wire.receive('a');
  assert.equal(wire.closed, false);
  assert.equal(count('istio_dry_run_allow_.shadow_denied'), 1);
  assert.deepEqual(info.dynamicMetadata, { 'envoy.filters.network.rbac': { istio_dry_run_allow_shadow_engine_result: 'denied' } });
});

test('rules over HTTP see a connection without headers', () => {
  const { wire } = guarded({ rules: { policies: { p: { permissions: [{ header: { name: ':method', stringMatch: { exact: 'GET' } } }], principals: [{ any: true }] } } } });
  wire.receive('GET / HTTP/1.1\r\n');
  assert.equal(wire.closed, true);
});

const extension = (name: string, fields: Json = {}): Json => ({ name: 'x', typedConfig: { '@type': `type.googleapis.com/${name}`, ...fields } });
const allow = { action: extension('envoy.config.rbac.v3.Action', { name: 'a', action: 'ALLOW' }) };

test('a matcher over addresses lets connections pass or closes them', () => {
  const fromRange = (addressPrefix: string): Json => ({ matcherTree: { input: extension('envoy.extensions.matching.common_inputs.network.v3.DirectSourceIPInput'), customMatch: extension('xds.type.matcher.v3.IPMatcher', { rangeMatchers: [{ ranges: [{ addressPrefix, prefixLen: 8 }], onMatch: allow }] }) } });
  const [inside, outside] = [guarded({ matcher: fromRange('10.0.0.0') }), guarded({ matcher: fromRange('11.0.0.0') })];
  for (const { wire } of [inside, outside]) wire.receive('a');
  assert.deepEqual([inside.wire.closed, outside.wire.closed], [false, true]);
  assert.equal(outside.info.connectionTerminationDetails, 'rbac_access_denied_matched_policy[none]');
});

test('what it cannot run is refused by its path', () => {
  const refused = (json: Json): string[] => {
    const result = parse(json);
    return result.ok ? [] : result.error.map(({ path }) => path);
  };
  const headers = { matcherTree: { input: extension('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { headerName: 'a' }), exactMatchMap: { map: { a: allow } } } };
  assert.deepEqual(refused({ statPrefix: 'a', matcher: headers, shadowMatcher: {} }), ['f.matcher.matcher_tree.input.typed_config', 'f.shadow_matcher']);
  assert.deepEqual(refused({ rules: { policies: { a: {} } } }), ['f.rules.policies["a"].permissions', 'f.rules.policies["a"].principals', 'f.stat_prefix']);
});
