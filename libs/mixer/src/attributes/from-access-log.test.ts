import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AccessLogType } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import { httpEntry, nodeOf, peerOf, tcpEntry } from '../testing/entries.ts';
import { ConnectionTracker } from './connection-tracker.ts';
import { httpAttributes, tcpAttributes } from './from-access-log.ts';
import { parseReporter, type Reporter } from './reporter.ts';
import { formatResponseFlags } from './response-flags.ts';
import { vocabulary, type Attributes } from './vocabulary.ts';

function reporter(workload: string, namespace = 'default'): Reporter {
  const parsed = parseReporter(nodeOf(workload, { namespace }));
  assert.ok(parsed.ok);
  return parsed.value;
}

function attributesOf(result: ReturnType<typeof httpAttributes>): Attributes {
  assert.ok(result.ok && result.value);
  return result.value;
}

test('a request becomes attributes of both ends, the request and the response', () => {
  const bag = attributesOf(httpAttributes(httpEntry({ peer: peerOf('source', 'productpage-v1', 'reviews-v1'), durationMs: 1250.5 }), reporter('productpage-v1')));
  const expected: Record<string, unknown> = {
    'context.reporter.kind': 'outbound',
    'context.protocol': 'http',
    'context.proxy_error_code': '-',
    'source.workload.name': 'productpage-v1',
    'source.app': 'productpage',
    'destination.workload.name': 'reviews-v1',
    'destination.service.host': 'reviews.default.svc.cluster.local',
    'request.method': 'GET',
    'request.path': '/reviews/0',
    'request.size': 7,
    'response.code': 200,
    'response.size': 100,
    'response.duration': 1250.5,
    'connection.mtls': undefined,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(bag.get(name), value, name);
});

test('without peer metadata the reporter is known from its node, the service from the cluster name, the rest is absent', () => {
  const bag = attributesOf(httpAttributes(httpEntry({ cluster: 'outbound|9080|v1|ratings.books.svc.cluster.local' }), reporter('reviews-v1')));
  assert.equal(bag.get('source.workload.name'), 'reviews-v1');
  assert.equal(bag.get('source.canonical_service'), 'reviews');
  assert.equal(bag.get('destination.service.name'), 'ratings');
  assert.equal(bag.get('destination.service.namespace'), 'books');
  assert.equal(bag.has('destination.workload.name'), false);
  const inboundBag = attributesOf(httpAttributes(httpEntry({ cluster: 'inbound|9080||' }), reporter('reviews-v1')));
  assert.equal(inboundBag.get('context.reporter.kind'), 'inbound');
  assert.equal(inboundBag.get('destination.workload.name'), 'reviews-v1');
  assert.equal(inboundBag.get('connection.mtls'), false);
});

test('a report that moves its sender into another namespace is refused', () => {
  const result = httpAttributes(httpEntry({ peer: peerOf('source', 'productpage-v1', 'reviews-v1') }), reporter('intruder', 'evil'));
  assert.deepEqual(result, { ok: false, error: [{ path: 'metadata.source_workload_namespace', message: 'says "default", but the reporter is in "evil"' }] });
});

test('entries about a request under way are skipped', () => {
  const entry = httpEntry();
  assert.ok(entry.commonProperties);
  for (const common of [{ ...entry.commonProperties, intermediateLogEntry: true }, { ...entry.commonProperties, accessLogType: AccessLogType.DownstreamStart }])
    assert.deepEqual(httpAttributes({ ...entry, commonProperties: common }, reporter('a')), { ok: true, value: undefined });
});

test('running totals of a connection become what was added, and an unheard-of end opens and closes', () => {
  const connections = new ConnectionTracker();
  const see = (type: AccessLogType, id: string, received: number, sent: number) => {
    const result = tcpAttributes(tcpEntry({ type, id, received, sent }), reporter('a'), connections);
    assert.ok(result.ok);
    return result.value.map((bag) => [bag.get('connection.event'), bag.get('connection.received.bytes'), bag.get('connection.sent.bytes')]);
  };
  assert.deepEqual(see(AccessLogType.TcpUpstreamConnected, 'c1', 0, 0), [['open', 0, 0]]);
  assert.deepEqual(see(AccessLogType.TcpPeriodic, 'c1', 10, 5), [['continue', 10, 5]]);
  assert.deepEqual(see(AccessLogType.TcpConnectionEnd, 'c1', 12, 9), [['close', 2, 4]]);
  assert.deepEqual(see(AccessLogType.NotSet, '', 3, 4), [['open', 0, 0], ['close', 3, 4]]);
});

test('a tracker past its limit forgets the oldest connection', () => {
  const connections = new ConnectionTracker(1);
  for (const id of ['a', 'b']) connections.observe(id, { ended: false, receivedBytes: 1, sentBytes: 1 });
  assert.equal(connections.observe('b', { ended: true, receivedBytes: 1, sentBytes: 1 }).length, 1);
  assert.equal(connections.observe('a', { ended: true, receivedBytes: 1, sentBytes: 1 }).length, 2);
});

test('a node without a namespace is refused with what to set', () => {
  const result = parseReporter({ ...nodeOf('a'), id: 'odd', metadata: {} });
  assert.match(result.ok ? '' : (result.error[0]?.message ?? ''), /set metadata NAMESPACE/);
  assert.equal(parseReporter(undefined).ok, false);
});

test('response flags print as Envoy prints them', () => {
  assert.equal(formatResponseFlags(undefined), '-');
  const base = { ...httpEntry().commonProperties?.responseFlags };
  assert.equal(formatResponseFlags({ ...base, upstreamConnectionFailure: true, upstreamRetryLimitExceeded: true } as never), 'UF,URX');
});

test('whatever a proxy puts into its metadata, attributes keep to the vocabulary and to sane lengths', () => {
  const hostile = fc.dictionary(fc.constantFrom('reporter', 'source_workload', 'destination_service', 'response_flags', 'request_messages', 'connection_security_policy', '__proto__'), fc.oneof(fc.string(), fc.string({ minLength: 300 }), fc.double(), fc.constant(null), fc.object()));
  fc.assert(
    fc.property(hostile, hostile, (peer, metadata) => {
      const parsed = parseReporter({ ...nodeOf('a'), metadata });
      assert.ok(parsed.ok);
      const result = httpAttributes(httpEntry({ peer }), parsed.value);
      if (!result.ok || !result.value) return;
      for (const [name, value] of result.value) {
        assert.ok(Object.hasOwn(vocabulary, name));
        if (typeof value === 'string') assert.ok(value.length <= 253);
      }
    }),
    { numRuns: 300 },
  );
});
