import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, fileLog, filter, httpListener, route, type Json } from './testing/bootstrap.ts';
import { RawConnection, request } from './testing/client.ts';
import { runToEnd, startProxy, temporaryFolder, writeBootstrap } from './testing/proxy-process.ts';

const monitors = 'type.googleapis.com/envoy.extensions.resource_monitors';
const heap = (bytes: number): Json => ({ name: 'envoy.resource_monitors.fixed_heap', typed_config: { '@type': `${monitors}.fixed_heap.v3.FixedHeapConfig`, max_heap_size_bytes: bytes } });
const connections = (max: number): Json => ({ name: 'envoy.resource_monitors.global_downstream_max_connections', typed_config: { '@type': `${monitors}.downstream_connections.v3.DownstreamConnectionsConfig`, max_active_downstream_connections: max } });
const action = (name: string, more: Json = {}): Json => ({ name: `envoy.overload_actions.${name}`, triggers: [{ name: 'envoy.resource_monitors.fixed_heap', threshold: { value: 0.9 } }], ...more });
let dir: string;
let app: Backend;

before(async () => {
  dir = temporaryFolder();
  app = await backend('app');
});
after(async () => {
  await app.stop();
  rmSync(dir, { recursive: true, force: true });
});

const listeners = (hcm: Json = {}): Json[] => [httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm }), httpListener({ name: 'spared', routes: [route({ prefix: '/' }, 'app')], listener: { bypass_overload_manager: true, ignore_global_conn_limit: true } })];
const overloaded = (overload_manager: Json, hcm: Json = {}) => bootstrap(listeners(hcm), [cluster('app', [app.port])], { overload_manager });

test('memory that is full sheds requests with 503, and spares the listener that says so', async () => {
  const access_log = [fileLog(join(dir, 'shed.log'), { log_format: { text_format_source: { inline_string: '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n' } } })];
  await using proxy = await startProxy(overloaded({ refresh_interval: '0.1s', resource_monitors: [heap(1000)], actions: [action('stop_accepting_requests'), action('shrink_heap')] }, { append_local_overload: true, access_log }));
  const shed = await request(proxy.port('web'));
  assert.deepEqual([shed.status, shed.body, shed.headers['x-envoy-local-overloaded']], [503, 'envoy overloaded', 'true']);
  assert.equal((await request(proxy.port('spared'))).status, 200);
  const stats = (await request(proxy.port('admin'), { path: '/stats' })).body;
  assert.match(stats, /^http\.web\.downstream_rq_overload_close: 1$/m);
  assert.match(stats, /^overload\.envoy\.overload_actions\.stop_accepting_requests\.active: 1$/m);
  assert.match(stats, /^overload\.envoy\.overload_actions\.shrink_heap\.shrink_count: 1$/m);
});

test('keep-alive ends under pressure, and new connections are turned away', async () => {
  await using closing = await startProxy(overloaded({ resource_monitors: [heap(1000)], actions: [action('disable_http_keepalive')] }));
  const agent = new Agent({ keepAlive: true });
  assert.equal((await request(closing.port('web'), { agent })).headers['connection'], 'close');
  agent.destroy();
  await using rejecting = await startProxy(overloaded({ resource_monitors: [heap(1000)], actions: [action('reject_incoming_connections')] }));
  await assert.rejects(request(rejecting.port('web')), /ECONNRESET|socket hang up/);
  assert.equal((await request(rejecting.port('spared'))).status, 200);
});

test('no more connections than allowed are open at once, over all workers', async () => {
  await using proxy = await startProxy(overloaded({ resource_monitors: [connections(2)] }), { args: ['--concurrency', '2'] });
  const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
  const kept = [new RawConnection(proxy.port('web')).send(get), new RawConnection(proxy.port('web')).send(get)];
  await Promise.all(kept.map((connection) => connection.until(/200 OK/)));
  await new RawConnection(proxy.port('web')).send(get).untilClosed();
  for (const connection of kept) connection.destroy();
  await waitFor('room', () => request(proxy.port('web')).then(({ status }) => status === 200, () => false));
});

test('what is not supported is refused by name', async () => {
  const { err, code } = await runToEnd(['-c', writeBootstrap(dir, overloaded({ resource_monitors: [heap(1000)], actions: [action('reset_high_memory_stream'), action('shrink_heap', { triggers: [{ name: 'other', threshold: { value: 1 } }] })] })), '--mode', 'validate']);
  assert.equal(code, 1);
  assert.match(err, /overload_manager\.actions\[0\]\.name: envoy\.overload_actions\.reset_high_memory_stream is not supported/);
  assert.match(err, /overload_manager\.actions\[1\]\.triggers\[0\]\.name: there is no resource monitor "other"/);
});

test('a worker that runs out of memory is replaced, and its listener serves again', async () => {
  const module = `import { FilterEvents, FilterStatus, HttpStreamFilter } from '${'@meltemi/proxy/filter'}';
    class Hungry extends HttpStreamFilter {
      override decodeHead(_stream: unknown, head: { path: string }): number {
        const kept: number[][] = [];
        while (head.path === '/eat') kept.push(new Array<number>(100_000).fill(kept.length));
        return FilterStatus.continue;
      }
    }
    export default { name: 'hungry', bind: () => ({ events: FilterEvents.decodeHead, create: () => new Hungry() }) };`;
  writeFileSync(join(dir, 'hungry.ts'), module);
  const hungry = filter('hungry', 'type.googleapis.com/meltemi.filters.http.module.v1.Module', { module: './hungry.ts' });
  await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], filters: [hungry] })], [cluster('app', [app.port])]), { args: ['--allow-filters-from', dir], node: ['--max-old-space-size=160'] });
  await assert.rejects(request(proxy.port('web'), { path: '/eat' }));
  await waitFor('the death to be told', () => /worker ended; a new one takes its place/.test(proxy.err()), { deadlineMs: 20_000 });
  assert.match(proxy.err(), /ERR_WORKER_OUT_OF_MEMORY|memory limit/);
  // The bootstrap leaves the port open: the new worker has another one.
  const port = await waitFor('the new worker', async () => Number(/^web::127\.0\.0\.1:(\d+)$/m.exec((await request(proxy.port('admin'), { path: '/listeners' })).body)?.[1] ?? 0) || undefined);
  assert.equal((await request(port)).status, 200);
});
