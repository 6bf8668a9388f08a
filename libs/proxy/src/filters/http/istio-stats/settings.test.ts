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
    metrics: [{ name: 'requests_totl', drop: true }, { drop: true, match: 'response.code == 200' }, { dimensions: { a: 'b' }, tags_to_remove: ['c'] }],
    definitions: [{ name: 'mine' }], reporter: 'SERVER_GATEWAY', tcp_reporting_duration: '5s',
  });
  assert.deepEqual(dropped, []);
  assert.deepEqual(warned, ['p.metrics[0].name', 'p.metrics[1].match', 'p.metrics[2].dimensions', 'p.metrics[2].tags_to_remove', 'p.definitions', 'p.reporter', 'p.tcp_reporting_duration']);
});
