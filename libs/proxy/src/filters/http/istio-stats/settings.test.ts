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
  assert.deepEqual(parsed({ metrics: [{ name: 'request_messages_total', drop: true }] }), { dropped: ['request_messages_total'], warned: [] });
});

test('what is asked and not done is named by its field', () => {
  const { dropped, warned } = parsed({
    metrics: [{ name: 'requests_totl', drop: true }, { drop: true, match: 'response.code == 200' }, { dimensions: { a: 'no such thing' } }, { dimensions: { 'not-a-label': 'request.host' } }],
    definitions: [{ name: 'mine', value: 'no such' }, { name: 'a-b', value: '1' }, { name: 'requests_total', value: '1' }], reporter: 'SERVER_GATEWAY',
  });
  assert.deepEqual(dropped, []);
  assert.deepEqual(warned, ['p.definitions[0].value', 'p.definitions[1].name', 'p.definitions[2].name', 'p.metrics[0].name', 'p.metrics[1].match', 'p.metrics[2].dimensions', 'p.metrics[3].dimensions', 'p.reporter']);
});

test('labels are set by expressions and removed, for one metric or all; the later entry wins', () => {
  const result = parseIstioStats(jsonToBinary('stats.PluginConfig', { metrics: [{ dimensions: { host: 'request.host' } }, { name: 'requests_total', tags_to_remove: ['host', 'source_app'] }], tcp_reporting_duration: '7s' }), { path: 'p', typeUrl: istioStatsTypeUrl, warn: (path) => assert.fail(path), extensions: filterExtensions() });
  assert.ok(result.ok);
  const { tags, reportingMs } = result.value;
  const of = (name: 'requests_total' | 'request_bytes') => [[...(tags.get(name)?.set.keys() ?? [])], [...(tags.get(name)?.removed ?? [])]];
  assert.deepEqual([of('requests_total'), of('request_bytes'), reportingMs], [[[], ['host', 'source_app']], [['host'], []], 7000]);
});

test('bytes and messages are reported every five seconds unless the config says otherwise', () => {
  const reporting = (json: object) => {
    const result = parseIstioStats(jsonToBinary('stats.PluginConfig', json), { path: 'p', typeUrl: istioStatsTypeUrl, warn: (path) => assert.fail(path), extensions: filterExtensions() });
    return result.ok && result.value.reportingMs;
  };
  assert.deepEqual([reporting({}), reporting({ tcp_reporting_duration: '0s' }), reporting({ tcp_reporting_duration: '0.01s' }), reporting({ tcp_reporting_duration: '60s' })], [5000, 0, 1000, 60_000]);
});
