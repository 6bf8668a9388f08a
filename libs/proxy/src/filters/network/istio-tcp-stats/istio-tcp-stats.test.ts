import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { ManualClock, seededRandom } from '@meltemi/base';
import { StreamInfo, unknownConnection } from '@meltemi/http';
import { FlatStats, StatsRegistry, type Counter } from '@meltemi/observe';
import { LocalState } from '../../../shared-state.ts';
import { unknownNode } from '../../../node.ts';
import { peerMetadataKey } from '../../../reports/access-log-entry.ts';
import { Backend } from '../../../testing/backend.ts';
import { tcpProxyOf } from '../../../testing/served.ts';
import { Wire } from '../../../testing/wire.ts';
import { filterExtensions } from '../../registry.ts';
import { TcpSession } from '../tcp-proxy/tcp-session.ts';
import { istioTcpStatsFilter } from './istio-tcp-stats.ts';

const mongo = 'outbound|27017||mongo.db.svc.cluster.local';

function totalOf(metrics: StatsRegistry, name: string): number {
  return metrics.read().filter(({ spec }) => spec.name === name).flatMap((family) => [...family.series()]).reduce((sum, { child }) => sum + (child as Counter).value, 0);
}

function bytesOf(metrics: StatsRegistry): number[] {
  return ['istio_tcp_received_bytes_total', 'istio_tcp_sent_bytes_total'].map((name) => totalOf(metrics, name));
}

const sessions = (metrics: StatsRegistry) => totalOf(metrics, 'istio_tcp_sessions_total');

/** One session of five bytes each way, counted under these settings; the names of the metrics with series, and what reports say. */
function counted(settings: object) {
  const warned: string[] = [];
  const parsed = istioTcpStatsFilter.parse(jsonToBinary('stats.PluginConfig', settings), { path: 'p', typeUrl: '', warn: (path) => warned.push(path), extensions: filterExtensions() });
  assert.ok(parsed.ok);
  const clock = new ManualClock();
  const backend = new Backend(mongo, clock);
  const metrics = new StatsRegistry();
  const clusters = { get: () => backend };
  const filter = istioTcpStatsFilter.bind(parsed.value, { clock, random: seededRandom(1), stats: new FlatStats(), metrics, node: unknownNode, clusters, direction: 'outbound', shared: new LocalState(), listenerName: 'test', filterName: 'istio.stats' });
  const client = new Wire();
  const info = new StreamInfo(unknownConnection, 0, 0);
  const made = filter.create({ connection: client, info, continueReading: () => {}, close: () => {} });
  new TcpSession(client, { config: tcpProxyOf({ cluster: mongo }), info, clusters, random: seededRandom(1), filters: made ? [made] : [], bufferLimit: 1000, monotonic: () => clock.monotonic(), onDone: () => {} }).start(() => {});
  client.receive('12345');
  backend.connections[0]?.receive('67890');
  clock.advance(10_000);
  const whileOpen = bytesOf(metrics);
  const sessionsWhileOpen = sessions(metrics);
  client.destroy();
  const names = metrics.read().filter((family) => [...family.series()].length > 0).map(({ spec }) => spec.name);
  return { names: names.map((name) => name.replace('istio_tcp_', '')).toSorted((a, b) => (a < b ? -1 : 1)), peer: info.dynamicMetadata?.[peerMetadataKey], warned, whileOpen, bytes: bytesOf(metrics), sessions: [sessionsWhileOpen, sessions(metrics)], labels: metrics.read().find(({ size }) => size > 0)?.spec.labelNames ?? [] };
}

test('a session is counted under Istio\'s four names, and reports say so', () => {
  const { names, peer } = counted({});
  assert.deepEqual(names, ['connections_closed_total', 'connections_opened_total', 'received_bytes_total', 'sent_bytes_total']);
  assert.deepEqual([peer?.['destination_service_name'], peer?.['counted']], ['mongo', true]);
});

test('with all metrics dropped nothing is counted, and reports still name both ends', () => {
  const { names, peer } = counted({ metrics: [{ drop: true }] });
  assert.deepEqual(names, []);
  assert.deepEqual([peer?.['reporter'], peer?.['destination_service'], peer?.['counted']], ['source', 'mongo.db.svc.cluster.local', false]);
});

test('one metric is dropped by name; what is not acted on is named', () => {
  const { names, warned } = counted({ metrics: [{ name: 'tcp_sent_bytes_total', drop: true }], rotation_interval: '5s' });
  assert.deepEqual(names, ['connections_closed_total', 'connections_opened_total', 'received_bytes_total']);
  assert.deepEqual(warned, ['p.rotation_interval']);
});

test('bytes are counted while the connection is open, each once; with an interval of none at its end', () => {
  const { whileOpen, bytes } = counted({ tcp_reporting_duration: '5s' });
  assert.deepEqual([whileOpen, bytes], [[5, 5], [5, 5]]);
  assert.deepEqual(counted({}).whileOpen, [5, 5]);
  assert.deepEqual(counted({ tcp_reporting_duration: '0s' }).whileOpen, [0, 0]);
});

test('labels are set and removed as for HTTP', () => {
  const { labels } = counted({ metrics: [{ dimensions: { server: 'upstream.address' }, tags_to_remove: ['source_app'] }] });
  assert.deepEqual([labels.includes('source_app'), labels.at(-1)], [false, 'server']);
});

test('a metric of one\'s own is counted once for each connection, at its end', () => {
  assert.deepEqual(counted({ definitions: [{ name: 'tcp_sessions_total', value: '1' }] }).sessions, [0, 1]);
});
