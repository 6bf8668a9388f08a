import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '@meltemi/base';
import type { EdgeInstance, Workload } from './edge-instance.ts';
import { LogHistogram } from './log-histogram.ts';
import { ServiceGraph } from './service-graph.ts';

function workload(name: string, namespace = 'default'): Workload {
  const app = name.replace(/-v\d+$/, '');
  return { name, namespace, app, version: 'v1', canonicalService: app, cluster: 'Kubernetes', principal: `spiffe://cluster.local/ns/${namespace}/sa/${name}` };
}

const nobody: Workload = { name: 'unknown', namespace: 'unknown', app: 'unknown', version: 'unknown', canonicalService: 'unknown', cluster: 'unknown', principal: 'unknown' };

function call(changes: Partial<EdgeInstance> = {}): EdgeInstance {
  return {
    reporter: 'source',
    source: workload('productpage-v1'),
    destination: workload('reviews-v1'),
    service: { host: 'reviews.default.svc.cluster.local', name: 'reviews', namespace: 'default' },
    protocol: 'http',
    event: 'request',
    outcome: 'success',
    responseFlags: [],
    durationMs: 10,
    requestBytes: 1,
    responseBytes: 100,
    mtls: undefined,
    ...changes,
  };
}

test('both ends report a request: it counts once, and the destination says that it was mTLS', () => {
  const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
  graph.record(call({ reporter: 'destination', mtls: true }));
  graph.record(call());
  const { nodes, edges } = graph.read();
  assert.deepEqual(nodes.map(({ id }) => id), ['workload/Kubernetes/default/productpage-v1', 'workload/Kubernetes/default/reviews-v1']);
  assert.equal(edges.length, 1);
  assert.deepEqual([edges[0]?.window.requests, edges[0]?.window.mtlsShare, edges[0]?.reportedBy], [1, 1, 'source']);
  assert.deepEqual(nodes[1]?.services, ['reviews.default.svc.cluster.local']);
});

test("a destination that knows the service by another name still says mTLS on the source's edge", () => {
  const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
  graph.record(call());
  graph.record(call({ reporter: 'destination', mtls: true, service: { host: 'unknown', name: 'unknown', namespace: 'unknown' } }));
  assert.deepEqual(graph.read().edges.map((edge) => [edge.window.requests, edge.window.mtlsShare]), [[1, 1]]);
});

test('a caller without a sidecar is drawn from the destination report', () => {
  const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
  graph.record(call({ reporter: 'destination', source: nobody, mtls: false }));
  const { nodes, edges } = graph.read();
  assert.deepEqual([edges[0]?.source, edges[0]?.reportedBy, edges[0]?.window.requests, edges[0]?.window.mtlsShare], ['unknown', 'destination', 1, 0]);
  assert.equal(nodes.find(({ id }) => id === 'unknown')?.kind, 'unknown');
});

test('a destination that saw only the certificate of a reporting source does not count the request again', () => {
  const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
  graph.record(call());
  graph.record(call({ reporter: 'destination', source: { ...nobody, principal: workload('productpage-v1').principal }, mtls: true }));
  assert.deepEqual(graph.read().edges.map((edge) => [edge.source, edge.window.requests, edge.window.mtlsShare]), [['workload/Kubernetes/default/productpage-v1', 1, 1]]);
});

test('a destination that reported before the source did is not counted beside it, and its word about mTLS stays', () => {
  const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
  for (let i = 0; i < 3; i++) graph.record(call({ reporter: 'destination', source: { ...nobody, principal: workload('productpage-v1').principal }, mtls: true }));
  assert.deepEqual(graph.read().edges.map(({ source, total }) => [source, total.requests]), [['unknown/spiffe://cluster.local/ns/default/sa/productpage-v1', 3]]);
  for (let i = 0; i < 3; i++) graph.record(call());
  const { edges, nodes } = graph.read();
  assert.deepEqual(edges.map(({ source, total, window }) => [source, total.requests, total.mtlsShare, window.mtlsShare]), [['workload/Kubernetes/default/productpage-v1', 3, 1, 1]]);
  assert.equal(nodes.length, 2);
});

test('a request that reached nobody points at the service', () => {
  const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
  graph.record(call({ destination: nobody, outcome: 'error', responseFlags: ['UH'] }));
  const { nodes, edges } = graph.read();
  assert.equal(edges[0]?.destination, 'service/reviews.default.svc.cluster.local');
  assert.deepEqual(nodes.find(({ kind }) => kind === 'service')?.name, 'reviews');
  assert.deepEqual([edges[0]?.window.errorShare, edges[0]?.window.responseFlags], [1, { UH: 1 }]);
});

test('rates and quantiles follow the window, totals stay', () => {
  const clock = new ManualClock(1_000_000);
  const graph = new ServiceGraph({ clock });
  for (let second = 0; second < 60; second++) {
    for (let n = 0; n < 10; n++) graph.record(call({ durationMs: n === 9 ? 500 : 20, outcome: n === 0 ? 'error' : 'success' }));
    clock.advance(1000);
  }
  const [busy] = graph.read().edges;
  assert.ok(busy?.window.latencyMs);
  assert.ok(Math.abs(busy.window.requestsPerSecond - 10) < 1, String(busy.window.requestsPerSecond));
  assert.equal(busy.window.errorShare, 0.1);
  assert.ok(Math.abs(busy.window.latencyMs.p50 - 20) <= 2 && Math.abs(busy.window.latencyMs.p99 - 500) <= 50, JSON.stringify(busy.window.latencyMs));
  clock.advance(120_000);
  const [quiet] = graph.read().edges;
  assert.deepEqual([quiet?.window.requests, quiet?.window.latencyMs, quiet?.total.requests], [0, null, 600]);
});

test('TCP connections count opens, closes and bytes', () => {
  const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
  const tcp = (event: EdgeInstance['event'], changes: Partial<EdgeInstance> = {}) => graph.record(call({ protocol: 'tcp', event, requestBytes: 5, responseBytes: 7, ...changes }));
  tcp('open');
  tcp('continue');
  tcp('close', { outcome: 'error', responseFlags: ['UC'] });
  const window = graph.read().edges[0]?.window;
  assert.deepEqual([window?.connectionsOpened, window?.connectionsClosed, window?.requestBytes, window?.responseBytes, window?.errors, window?.requests], [1, 1, 15, 21, 1, 0]);
});

test('a namespace filter keeps the edges that touch it', () => {
  const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
  graph.record(call());
  graph.record(call({ source: workload('curl', 'tools') }));
  graph.record(call({ source: workload('a', 'other'), destination: workload('b', 'other'), service: { host: 'b.other.svc.cluster.local', name: 'b', namespace: 'other' } }));
  assert.deepEqual(graph.read({ namespace: 'tools' }).edges.map(({ source }) => source), ['workload/Kubernetes/tools/curl']);
  assert.equal(graph.read({ namespace: 'default' }).edges.length, 2);
  assert.deepEqual(graph.read({ namespace: 'none' }).nodes, []);
});

test('a full graph counts what it drops, and idle edges make room', () => {
  const clock = new ManualClock(1_000_000);
  const graph = new ServiceGraph({ clock, maxEdges: 2, idleMs: 60_000 });
  for (const name of ['a', 'b', 'c']) graph.record(call({ source: workload(name) }));
  assert.deepEqual([graph.edgeCount, graph.droppedEvents, graph.read().nodes.length], [2, 1, 3]);
  clock.advance(61_000);
  graph.record(call({ source: workload('c') }));
  assert.deepEqual(graph.read().nodes.map(({ name }) => name), ['c', 'reviews-v1']);
});

test('quantiles stay within a tenth of the true value', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.2, max: 600_000, noNaN: true }), { minLength: 1, maxLength: 200 }), fc.constantFrom(0.5, 0.9, 0.99), (values, q) => {
      const histogram = new LogHistogram();
      for (const value of values) histogram.record(value);
      const truth = values.toSorted((a, b) => a - b)[Math.ceil(q * values.length) - 1] ?? 0;
      const guess = histogram.quantile(q) ?? 0;
      assert.ok(Math.abs(guess / truth - 1) < 0.105, `${guess} for ${truth}`);
    }),
  );
});
