import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { waitFor } from '@meltemi/base';
import type { FlatStats } from '@meltemi/observe';
import { FlatStats as Stats } from '@meltemi/observe';
import { tlsFixture } from '../transport/tls-fixture.ts';
import { application, ask, assignmentOf, clusterOf, endpoints, httpListener, listenerOf, address, must, portOf, routesOf, routeTo, staticCluster, tcpListener, workerServer, router } from './fixture.ts';

const table = (cluster: string, body?: string) =>
  routesOf({ name: 'r', virtualHosts: [{ name: 'all', domains: ['*'], routes: [body === undefined ? routeTo(cluster) : { match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: body } } }] }] });

/** Asks over kept connections until stopped; counts failures. */
function traffic(t: TestContext, port: () => number) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const seen = new Map<string, number>();
  const failures: string[] = [];
  let stopped = false;
  const loop = async () => {
    while (!stopped) {
      try {
        const answer = await ask(port(), { agent });
        if (answer.status !== 200) failures.push(`${answer.status} ${answer.body}`);
        seen.set(answer.body, (seen.get(answer.body) ?? 0) + 1);
      } catch (error) {
        failures.push(String(error));
      }
    }
  };
  const loops = [loop(), loop(), loop()];
  t.after(() => {
    stopped = true;
    agent.destroy();
  });
  const stop = async () => {
    stopped = true;
    await Promise.all(loops);
    agent.destroy();
  };
  return { seen, failures, stop };
}

test('no request fails while routes, clusters, endpoints and the listener itself change', async (t) => {
  const [a, b] = [await application(t, (_request, response) => response.end('a')), await application(t, (_request, response) => response.end('b'))];
  const server = workerServer(t, { drainTimeMs: 60_000 });
  const eds = (more = {}) => clusterOf({ name: 'app', type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } }, connectTimeout: '2s', ...more });
  must(server.setCluster(eds()));
  server.setEndpoints('app', assignmentOf(endpoints('app', a)));
  server.setRouteTable('r', table('app'));
  must(await server.setListener(httpListener({ rds: 'r' })));
  const port = portOf(server);
  const load = traffic(t, () => port);
  const until = (body: string, more = 20) => {
    const target = (load.seen.get(body) ?? 0) + more;
    return waitFor(`answers of ${body}`, () => (load.seen.get(body) ?? 0) >= target);
  };
  await until('a');
  server.setEndpoints('app', assignmentOf(endpoints('app', b)));
  await until('b');
  must(server.setCluster(eds({ connectTimeout: '3s' })));
  await until('b');
  server.setRouteTable('r', table('app', 'direct'));
  await until('direct');
  must(await server.setListener(httpListener({ rds: 'r', port, hcm: { serverName: 'second' } })));
  await until('direct');
  assert.equal((await ask(port)).headers.server, 'second');
  server.setRouteTable('r', table('app'));
  must(await server.setListener(httpListener({ rds: 'r', port, hcm: { serverName: 'third' } })));
  await load.stop();
  assert.deepEqual(load.failures, []);
});

test('a listener waits for its routes, and says for which', async (t) => {
  const server = workerServer(t);
  const done = server.setListener(httpListener({ rds: 'r' }));
  assert.deepEqual(server.warming(), [{ name: 'main', missing: ['route r'] }]);
  server.setRouteTable('r', table('x', 'now'));
  must(await done);
  assert.equal((await ask(portOf(server))).body, 'now');
});

test('a port that is taken refuses the listener and keeps the old one', async (t) => {
  const server = workerServer(t);
  const taken = net.createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.after(() => taken.close());
  must(await server.setListener(httpListener({ routes: [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'old' } } }] })));
  const result = await server.setListener(httpListener({ port: (taken.address() as net.AddressInfo).port }));
  assert.match(result.ok ? '' : (result.error[0]?.message ?? ''), /EADDRINUSE/);
  assert.equal((await ask(portOf(server))).body, 'old');
});

test('a kept connection that the application closed while idle is replaced without the client noticing', async (t) => {
  const app = http.createServer((_request, response) => response.end('ok'));
  app.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    app.closeAllConnections();
    app.close();
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [(app.address() as net.AddressInfo).port])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  for (let i = 0; i < 30; i++) {
    // The close and the next request cross on the way.
    const next = ask(portOf(server));
    assert.equal((await next).status, 200);
    const again = ask(portOf(server));
    app.closeIdleConnections();
    assert.equal((await again).status, 200);
  }
});

test('beyond the circuit breaker requests are answered 503 with x-envoy-overloaded', async (t) => {
  let release = () => {};
  const app = await application(t, (_request, response) => (release = () => response.end('ok')));
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app], { circuitBreakers: { thresholds: [{ maxRequests: 1, maxPendingRequests: 1, maxConnections: 1 }] } })));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const first = ask(portOf(server));
  await waitFor('the first to arrive', () => release.toString().includes('response.end'));
  // One waits for the only connection, the other is one too many.
  const rest = [ask(portOf(server)), ask(portOf(server))];
  const refused = await Promise.race(rest);
  assert.deepEqual([refused.status, refused.headers['x-envoy-overloaded']], [503, 'true']);
  assert.match(refused.body, /reset reason: overflow/);
  const before = release;
  release();
  assert.equal((await first).status, 200);
  await waitFor('the one that waited', () => release !== before);
  release();
  assert.deepEqual((await Promise.all(rest)).map(({ status }) => status).toSorted((x, y) => x - y), [200, 503]);
});

test('mTLS between two proxies, through a certificate rotation', async (t) => {
  const ca = tlsFixture();
  const [clientId, serverId] = ['spiffe://cluster.local/ns/a/sa/client', 'spiffe://cluster.local/ns/a/sa/server'];
  const app = await application(t, (request, response) => response.end(String(request.headers['x-forwarded-client-cert'])));
  const secrets = { commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: 'default', sdsConfig: { ads: {} } }], validationContextSdsSecretConfig: { name: 'ROOTCA', sdsConfig: { ads: {} } } } };
  const tls = (name: string, more = {}) => ({ transportSocket: { name: 'tls', typedConfig: { '@type': `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${name}`, ...secrets, ...more } } });
  const inbound = workerServer(t);
  must(inbound.setCluster(staticCluster('in', [app])));
  const hcm = { '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', statPrefix: 'in', forwardClientCertDetails: 'APPEND_FORWARD', setCurrentClientCertDetails: { subject: true, uri: true }, httpFilters: [router], routeConfig: { name: 'x', virtualHosts: [{ name: 'x', domains: ['*'], routes: [routeTo('in')] }] } };
  const serving = inbound.setListener(listenerOf({
    name: 'main', address: address(0), listenerFilters: [{ name: 'tls', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector' } }],
    filterChains: [{ filterChainMatch: { transportProtocol: 'tls' }, filters: [{ name: 'hcm', typedConfig: hcm }], ...tls('DownstreamTlsContext', { requireClientCertificate: true }) }],
  }));
  const give = (server: typeof inbound, id: string) => {
    must(server.setSecret('default', { kind: 'certificate', certificate: ca.issue(id) }));
    must(server.setSecret('ROOTCA', { kind: 'validation', validation: ca.trust() }));
  };
  give(inbound, serverId);
  must(await serving);
  const outbound = workerServer(t);
  must(outbound.setCluster(staticCluster('out', [portOf(inbound)], tls('UpstreamTlsContext', { sni: 'outbound_.80_._.server' }))));
  must(await outbound.setListener(httpListener({ routes: [routeTo('out')] })));
  assert.equal((await ask(portOf(outbound))).status, 503);
  give(outbound, clientId);
  const expected = new RegExp(`^By=${serverId};Hash=[0-9a-f]{64};Subject="";URI=${clientId}$`);
  assert.match((await ask(portOf(outbound))).body, expected);
  give(inbound, serverId);
  give(outbound, clientId);
  assert.match((await ask(portOf(outbound))).body, expected);
  await assert.rejects(ask(portOf(inbound)));
});

test('a slow reader does not make the proxy hold the whole body', async (t) => {
  const total = 64 * 1024 * 1024;
  let written = 0;
  const app = net.createServer((socket) => {
    const block = Buffer.alloc(64 * 1024);
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 67108864\r\n\r\n');
    const more = () => {
      while (written < total) {
        written += block.length;
        if (!socket.write(block)) return void socket.once('drain', more);
      }
      return undefined;
    };
    socket.once('data', more).on('error', () => {});
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.after(() => app.close());
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [(app.address() as net.AddressInfo).port])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const client = net.connect(portOf(server), '127.0.0.1');
  t.after(() => client.destroy());
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  let before = -1;
  await waitFor('the sender to be stopped', () => {
    const still = written === before && written > 0;
    before = written;
    return still;
  }, { everyMs: 200 });
  assert.ok(written < total / 2, `${written} bytes were taken from the application`);
  let read = 0;
  client.on('data', (part) => (read += part.length));
  await waitFor('the rest', () => read >= total, { deadlineMs: 20_000 });
});

test('a listener that takes over the address of one that is removed at once serves it', async (t) => {
  const server = workerServer(t);
  const saying = (name: string, port: number) => httpListener({ name, port, routes: [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: name } } }] });
  must(await server.setListener(saying('first', 0)));
  const port = portOf(server, 'first');
  const added = server.setListener(saying('second', port));
  await server.removeListener('first');
  must(await added);
  assert.equal((await ask(port)).body, 'second');
});

test('listeners may take the addresses that others move away from in the same change, in whatever order they come', async (t) => {
  const server = workerServer(t);
  const saying = (name: string, ip: string, port: number) => ({ ...httpListener({ name, routes: [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: name } } }] }), addresses: [{ kind: 'ip', address: ip, port }] as const });
  must(await server.setListener(saying('first', '127.0.0.1', 0)));
  const port = portOf(server, 'first');
  must(await server.setListener(saying('second', '127.0.0.2', port)));
  const changes = [saying('third', '127.0.0.1', port), saying('first', '127.0.0.2', port), saying('second', '127.0.0.3', port)];
  for (const done of await Promise.all(changes.map((listener) => server.setListener(listener)))) must(done);
  const answers = await Promise.all(['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((host) => ask(port, { host })));
  assert.deepEqual(answers.map(({ body }) => body), ['third', 'first', 'second']);
});

const ips = (...targets: [address: string, port: number][]) => targets.map(([ip, port]) => ({ kind: 'ip', address: ip, port }) as const);
const at = (addresses: ReturnType<typeof ips>, more: Partial<ReturnType<typeof httpListener>> = {}) => ({ ...httpListener({ routes: [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'ok' } } }] }), addresses, ...more });

test('addresses may be added to a listener, put in another order and taken away, and nobody is refused at those that stay', async (t) => {
  const server = workerServer(t);
  must(await server.setListener(at(ips(['127.0.0.1', 0]))));
  const port = portOf(server);
  const [a, b, c] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((ip): [string, number] => [ip, port]) as [[string, number], [string, number], [string, number]];
  let stopped = false;
  let answered = 0;
  const failures: string[] = [];
  t.after(() => (stopped = true));
  const load = (async () => {
    while (!stopped) await ask(port).then(() => answered++, (error: unknown) => failures.push(String(error)));
  })();
  for (const addresses of [ips(a, b), ips(c, b, a), ips(a, c, b), ips(a, c), ips(a)]) {
    // Where an address is left, connections end.
    if (addresses.length === 2 && addresses[1]?.address === c[0]) assert.deepEqual(failures, []);
    must(await server.setListener(at(addresses)));
    assert.deepEqual(server.listeners()[0]?.bound, addresses);
    for (const { address: host } of addresses) assert.equal((await ask(port, { host })).status, 200);
    const before = answered;
    await waitFor('answers', () => answered > before + 5);
  }
  stopped = true;
  await load;
  assert.deepEqual(failures.filter((failure) => failure.includes('ECONNREFUSED')), []);
  await waitFor('the addresses that were left to be free', () => Promise.all([b, c].map(([host]) => ask(port, { host }).then(() => false, () => true))).then((gone) => gone.every(Boolean)));
});

test('a listener that cannot have one of its new addresses goes on by the config and at the addresses before', async (t) => {
  const server = workerServer(t);
  const taken = net.createServer();
  must(await server.setListener(at(ips(['127.0.0.1', 0]))));
  const port = portOf(server);
  await new Promise<void>((resolve) => taken.listen(port, '127.0.0.3', resolve));
  t.after(() => taken.close());
  const changed = at(ips(['127.0.0.1', port], ['127.0.0.2', port], ['127.0.0.3', port]));
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  assert.equal((await ask(port, { agent })).status, 200);
  // With the chain it has, and with another.
  for (const listener of [changed, { ...httpListener({}), addresses: changed.addresses }]) {
    const refused = await server.setListener(listener);
    assert.match(refused.ok ? '' : (refused.error[0]?.message ?? ''), /127\.0\.0\.3:\d+.*EADDRINUSE/);
    assert.deepEqual(server.listeners()[0]?.bound, ips(['127.0.0.1', port]));
    const kept = await ask(port, { agent });
    assert.deepEqual([kept.status, kept.headers.connection], [200, undefined]);
    assert.equal((await ask(port)).status, 200);
  }
});

test('a port that the system chose stays, whether it is named now or left open still', async (t) => {
  const server = workerServer(t);
  must(await server.setListener(at(ips(['127.0.0.1', 0], ['127.0.0.1', 0]))));
  const [first, second] = (server.listeners()[0]?.bound ?? []).map((target) => (target.kind === 'ip' ? target.port : 0)) as [number, number];
  must(await server.setListener(at(ips(['127.0.0.1', 0], ['127.0.0.1', first]))));
  assert.deepEqual(server.listeners()[0]?.bound, ips(['127.0.0.1', second], ['127.0.0.1', first]));
  for (const port of [first, second]) assert.equal((await ask(port)).status, 200);
});

test('a changed tcp_backlog_size holds for the sockets that are there', async (t) => {
  const server = workerServer(t);
  must(await server.setListener(at(ips(['127.0.0.1', 0]), { tcpBacklog: 1 })));
  const port = portOf(server);
  must(await server.setListener(at(ips(['127.0.0.1', port]), { tcpBacklog: 64 })));
  // Nobody is accepted while this thread waits for the program: all have to fit into the queue.
  const connects = `let open = 0; for (let i = 0; i < 16; i++) require('node:net').connect(${port}, '127.0.0.1', () => { if (++open === 16) process.exit(0); });`;
  execFileSync(process.execPath, ['-e', connects], { timeout: 10_000 });
});

test('a Unix socket goes on being served when its listener binds anew, and is gone with it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'pipe-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'web.sock');
  const server = workerServer(t);
  const answer = [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'ok' } } }];
  const saying = (mode: number, name = 'main') => ({ ...httpListener({ name, routes: answer }), addresses: [{ kind: 'pipe', path, mode }] as const });
  const asked = () => new Promise<number>((resolve, reject) => http.get({ socketPath: path, agent: false }, (response) => resolve(response.resume().statusCode ?? 0)).on('error', reject));
  must(await server.setListener(saying(0o600)));
  assert.equal(await asked(), 200);
  must(await server.setListener(saying(0o660)));
  await new Promise(setImmediate);
  assert.deepEqual([await asked(), statSync(path).mode & 0o777], [200, 0o660]);
  const renamed = server.setListener(saying(0o660, 'other'));
  await server.removeListener('main');
  must(await renamed);
  assert.equal(await asked(), 200);
  await server.removeListener('other');
  await waitFor('the file to go', () => !existsSync(path));
});

test('statistics go by Envoy names', async (t) => {
  const stats: FlatStats = new Stats();
  const app = await application(t, (_request, response) => response.end('ok'));
  const server = workerServer(t, { stats });
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  await ask(portOf(server));
  const value = (name: string) => stats.entries().find((entry) => entry.name === name)?.value;
  for (const name of ['cluster.app.upstream_rq_total', 'cluster.app.upstream_rq_2xx', 'cluster.app.upstream_rq_200', 'cluster.app.upstream_cx_active', 'http.test.downstream_rq_total', 'http.test.downstream_rq_2xx']) assert.equal(value(name), 1, name);
});

test('draining answers what is under way, then every connection is gone', async (t) => {
  let release = () => {};
  const app = await application(t, (_request, response) => (release = () => response.end('late')));
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  must(await server.setListener(tcpListener({ cluster: 'app' })));
  const answer = ask(portOf(server));
  await waitFor('the request', () => release.toString().includes('response.end'));
  const drained = server.drain({ deadlineMs: 5000 });
  release();
  assert.equal((await answer).headers.connection, 'close');
  await drained;
  assert.equal(server.activeConnections, 0);
});

test('a bug in one stream is answered 500 and logged; the next stream is served', async (t) => {
  const logged: string[] = [];
  const server = workerServer(t, { log: { info: () => {}, warn: () => {}, error: (_fields, message) => logged.push(message) } });
  const good = table('x', 'fine');
  const broken = { name: 'r', virtualHosts: [], clusterNames: new Set<string>(), internalOnlyHeaders: [], warnings: [], virtualHostOf: () => null, match: () => { throw new Error('a bug'); } };
  server.setRouteTable('r', broken);
  must(await server.setListener(httpListener({ rds: 'r' })));
  assert.equal((await ask(portOf(server))).status, 500);
  assert.equal(logged.length, 1);
  server.setRouteTable('r', good);
  assert.equal((await ask(portOf(server))).body, 'fine');
});

test('a client that leaves during a long request frees the application at once', async (t) => {
  let gone = false;
  let arrived = false;
  const app = await application(t, (request) => {
    arrived = true;
    request.on('error', () => {});
    request.socket.on('close', () => (gone = true));
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const client = net.connect(portOf(server), '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await waitFor('the request', () => arrived);
  client.destroy();
  await waitFor('the application to know', () => gone);
});

test('a host that keeps failing is left out for a while', async (t) => {
  let bad = 0;
  const failing = await application(t, (_request, response) => {
    bad++;
    response.statusCode = 500;
    response.end();
  });
  const working = await application(t, (_request, response) => response.end('ok'));
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [failing, working], { outlierDetection: { consecutive5xx: 3, maxEjectionPercent: 100 } })));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  for (let i = 0; i < 30; i++) await ask(portOf(server));
  assert.equal(bad, 3);
});
