import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { filterExtensions } from '../../registry.ts';
import { istioMetrics, istioStatsTypeUrl, parseIstioStats } from './settings.ts';

function parsed(json: object) {
  const warned: string[] = [];
  const result = parseIstioStats(jsonToBinary('stats.PluginConfig', json), { path: 'p', typeUrl: istioStatsTypeUrl, warn: (path) => warned.push(path), extensions: filterExtensions() });
  assert.ok(result.ok);
  return { dropped: [...result.value.dropped], warned };
}

test('no name drops all, a name drops one, with or without its prefix', () => {
  assert.deepEqual(parsed({ metrics: [{ drop: true }] }), { dropped: [...istioMetrics], warned: [] });
  assert.deepEqual(parsed({ metrics: [{ name: 'requests_total', drop: true }, { name: 'istio_tcp_sent_bytes_total', drop: true }] }), { dropped: ['requests_total', 'tcp_sent_bytes_total'], warned: [] });
  assert.deepEqual(parsed({ metrics: [{ name: 'request_messages_total', drop: true }] }), { dropped: [], warned: [] });
});

test('what is asked and not done is named by its field', () => {
  const { dropped, warned } = parsed({
    metrics: [{ name: 'requests_totl', drop: true }, { drop: true, match: 'response.code == 200' }, { dimensions: { a: 'no such thing' } }, { dimensions: { 'not-a-label': 'request.host' } }],
    definitions: [{ name: 'mine' }], reporter: 'SERVER_GATEWAY',
  });
  assert.deepEqual(dropped, []);
  assert.deepEqual(warned, ['p.metrics[0].name', 'p.metrics[1].match', 'p.metrics[2].dimensions', 'p.metrics[3].dimensions', 'p.definitions', 'p.reporter']);
});

test('labels are set by expressions and removed, for one metric or all; the later entry wins', () => {
  const result = parseIstioStats(jsonToBinary('stats.PluginConfig', { metrics: [{ dimensions: { host: 'request.host' } }, { name: 'requests_total', tags_to_remove: ['host', 'source_app'] }], tcp_reporting_duration: '7s' }), { path: 'p', typeUrl: istioStatsTypeUrl, warn: (path) => assert.fail(path), extensions: filterExtensions() });
  assert.ok(result.ok);
  const { tags, tcpReportingMs } = result.value;
  const of = (name: 'requests_total' | 'request_bytes') => [[...(tags.get(name)?.set.keys() ?? [])], [...(tags.get(name)?.removed ?? [])]];
  assert.deepEqual([of('requests_total'), of('request_bytes'), tcpReportingMs], [[[], ['host', 'source_app']], [['host'], []], 7000]);
});
