import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { edgeTemplate, ServiceGraph, type GraphView } from '@meltemi/mixer';
import { AdminServer } from '@meltemi/observe-edge';
import { graphRoute } from './graph-route.ts';

const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
const server = new AdminServer({ title: 'telemetry' });
let base = '';

before(async () => {
  const edge = edgeTemplate.instance(new Map<string, string | number>([['source.workload.name', 'a'], ['source.workload.namespace', 'one'], ['destination.workload.name', 'b'], ['destination.workload.namespace', 'two'], ['response.code', 200], ['context.protocol', 'http']]));
  assert.ok(edge);
  graph.record(edge);
  server.route(graphRoute(graph));
  base = `http://127.0.0.1:${(await server.listen({ host: '127.0.0.1', port: 0 })).port}`;
});
after(() => server.stop());

async function get(path: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(base + path);
  return { status: response.status, body: await response.json() };
}

test('the graph is JSON, filtered by namespace and window', async () => {
  const all = (await get('/graph')).body as GraphView;
  assert.deepEqual([all.windowSeconds, all.edges.length, all.nodes.length, all.edges[0]?.window.requests], [60, 1, 2, 1]);
  const some = (await get('/graph?namespace=two&window=2m')).body as GraphView;
  assert.deepEqual([some.windowSeconds, some.edges.length], [120, 1]);
  assert.equal(((await get('/graph?namespace=three')).body as GraphView).edges.length, 0);
});

test('a query it cannot follow is 400 and names each mistake', async () => {
  const { status, body } = await get('/graph?namespace=Bad_Name&window=1&odd=1');
  assert.equal(status, 400);
  assert.deepEqual((body as { errors: { path: string }[] }).errors.map(({ path }) => path), ['odd', 'namespace', 'window']);
});
