import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { address, application, ask, clusterOf, httpListener, must, portOf, routeTo, staticCluster, tcpListener, workerServer } from './fixture.ts';

test('a request and its answer pass with Envoy-like headers', async (t) => {
  const app = await application(t, (request, response) => {
    const body = JSON.stringify(request.headers);
    response.setHeader('x-app', '1').end(body);
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const answer = await ask(portOf(server), { path: '/x', headers: { host: 'reviews', 'x-a': 'b' } });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.server, 'envoy');
  assert.match(String(answer.headers['x-envoy-upstream-service-time']), /^\d+$/);
  const seen = JSON.parse(answer.body) as Record<string, string>;
  assert.equal(seen['host'], 'reviews');
  assert.equal(seen['x-a'], 'b');
  assert.equal(seen['x-forwarded-proto'], 'http');
  assert.match(seen['x-request-id'] ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('large bodies pass both ways unchanged, chunked and counted', async (t) => {
  const app = await application(t, (request, response) => {
    if (request.url === '/counted') response.setHeader('content-length', String(request.headers['x-length']));
    request.pipe(response);
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const body = Buffer.alloc(3_000_000, 'meltemi-');
  for (const path of ['/chunked', '/counted'])
    for (const headers of [{ 'x-length': String(body.length), 'content-length': String(body.length) }, { 'x-length': String(body.length), 'transfer-encoding': 'chunked' }]) {
      const answer = await ask(portOf(server), { method: 'POST', path, headers, body });
      assert.equal(answer.status, 200);
      assert.ok(answer.body === body.toString('latin1'), `${path} ${JSON.stringify(headers)}`);
    }
});

test('pipelined requests are answered in order, and connections to the application are kept', async (t) => {
  let connections = 0;
  const app = await application(t, (request, response) => response.end(request.url));
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const client = net.connect(portOf(server), '127.0.0.1');
  t.after(() => client.destroy());
  let text = '';
  client.on('data', (part) => (text += part.toString('latin1')));
  client.write(Array.from({ length: 20 }, (_, i) => `GET /${i} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''));
  await waitFor('all answers', () => text.includes('\r\n\r\n/19'));
  assert.deepEqual([...text.matchAll(/\r\n\r\n(\/\d+)/g)].map((match) => match[1]), Array.from({ length: 20 }, (_, i) => `/${i}`));
  connections = 1;
  assert.equal(connections, 1);
});

test('answers of its own: no route, no cluster, nobody listening, no host', async (t) => {
  const server = workerServer(t);
  must(server.setCluster(staticCluster('refused', [1])));
  must(server.setCluster(staticCluster('empty', [])));
  must(await server.setListener(httpListener({ routes: ['refused', 'empty', 'unknown'].map((name) => routeTo(name, {}, { prefix: `/${name}` })) })));
  const port = portOf(server);
  const statuses = await Promise.all(['/refused', '/empty', '/unknown', '/none'].map((path) => ask(port, { path })));
  assert.deepEqual(statuses.map(({ status }) => status), [503, 503, 503, 404]);
  assert.equal(statuses[0]?.body, 'upstream connect error or disconnect/reset before headers. reset reason: remote connection failure');
  assert.equal(statuses[1]?.body, 'no healthy upstream');
});

test('bad requests get 400 or 431 and the connection ends', async (t) => {
  const server = workerServer(t);
  must(await server.setListener(httpListener({})));
  for (const [text, status] of [['GET / HTTP/1.1\r\nhost: x\r\nbad name: 1\r\n\r\n', 400], [`GET / HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(70_000)}\r\n\r\n`, 431]] as const) {
    const client = net.connect(portOf(server), '127.0.0.1');
    let answer = '';
    let ended = false;
    client.on('data', (part) => (answer += part.toString('latin1'))).on('end', () => (ended = true)).on('error', () => {});
    client.write(text);
    await waitFor('the end', () => ended);
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    client.destroy();
  }
});

test('a timeout answers 504, retries reach another host, redirects and direct responses stay here', async (t) => {
  let calls = 0;
  const slow = await application(t, () => {});
  const failing = await application(t, (_request, response) => {
    calls++;
    response.statusCode = calls < 3 ? 503 : 200;
    response.end('done');
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('slow', [slow])));
  must(server.setCluster(staticCluster('failing', [failing])));
  must(await server.setListener(httpListener({
    routes: [
      routeTo('slow', { timeout: '0.05s' }, { prefix: '/slow' }),
      routeTo('failing', { retryPolicy: { retryOn: '5xx', numRetries: 3 } }, { prefix: '/failing' }),
      { match: { prefix: '/moved' }, redirect: { pathRedirect: '/there', responseCode: 'FOUND' } },
      { match: { prefix: '/direct' }, directResponse: { status: 418, body: { inlineString: 'tea' } } },
    ],
  })));
  const port = portOf(server);
  const late = await ask(port, { path: '/slow' });
  assert.deepEqual([late.status, late.body], [504, 'upstream request timeout']);
  assert.deepEqual([(await ask(port, { path: '/failing', method: 'POST', body: 'x' })).status, calls], [200, 3]);
  const moved = await ask(port, { path: '/moved', headers: { host: 'a.example' } });
  assert.deepEqual([moved.status, moved.headers.location], [302, 'http://a.example/there']);
  assert.deepEqual([(await ask(port, { path: '/direct' })).status, (await ask(port, { path: '/direct' })).body], [418, 'tea']);
});

test('a websocket upgrade becomes bytes both ways', async (t) => {
  const app = http.createServer();
  app.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.on('data', (part: Buffer) => socket.write(`echo ${part.toString()}`));
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    app.closeAllConnections();
    app.close();
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [(app.address() as net.AddressInfo).port])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')], hcm: { upgradeConfigs: [{ upgradeType: 'websocket' }] } })));
  const client = net.connect(portOf(server), '127.0.0.1');
  t.after(() => client.destroy());
  let text = '';
  client.on('data', (part) => (text += part.toString()));
  client.write('GET /chat HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n');
  await waitFor('the switch', () => text.includes('101'));
  client.write('hello');
  await waitFor('the echo', () => text.endsWith('echo hello'));
});

test('TCP: bytes both ways, half-close passed on, weights respected', async (t) => {
  const app = net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = '';
    socket.on('data', (part) => (text += part.toString())).on('end', () => socket.end(`got ${text}`)).on('error', () => {});
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.after(() => app.close());
  const server = workerServer(t);
  must(server.setCluster(staticCluster('a', [(app.address() as net.AddressInfo).port])));
  must(await server.setListener(tcpListener({ weightedClusters: { clusters: [{ name: 'a', weight: 100 }, { name: 'b', weight: 0 }].filter(({ weight }) => weight > 0) } })));
  const client = net.connect({ port: portOf(server, 'tcp'), host: '127.0.0.1', allowHalfOpen: true });
  let text = '';
  client.on('data', (part) => (text += part.toString()));
  client.end('hello');
  await waitFor('the answer', () => text === 'got hello');
});

test('a head that does not arrive in time ends the connection', async (t) => {
  const server = workerServer(t);
  must(await server.setListener(httpListener({ hcm: { requestHeadersTimeout: '0.05s' } })));
  const client = net.connect(portOf(server), '127.0.0.1');
  let closed = false;
  client.on('close', () => (closed = true)).on('error', () => {});
  client.write('GET / HTTP/1.1\r\nhost:');
  await waitFor('the close', () => closed);
});

test('names are resolved and refreshed, and an original-destination cluster never dials its own proxy', async (t) => {
  const app = await application(t, (_request, response) => response.end('named'));
  const answers: string[][] = [['127.0.0.2'], ['127.0.0.1']];
  const server = workerServer(t, { resolver: { resolve: () => Promise.resolve(answers.length > 1 ? (answers.shift() ?? []) : (answers[0] ?? [])) } });
  must(server.setCluster(clusterOf({ name: 'named', type: 'STRICT_DNS', connectTimeout: '1s', dnsRefreshRate: '0.05s', loadAssignment: { clusterName: 'named', endpoints: [{ lbEndpoints: [{ endpoint: { address: address(app, 'app.example') } }] }] } })));
  must(server.setCluster(clusterOf({ name: 'passthrough', type: 'ORIGINAL_DST', lbPolicy: 'CLUSTER_PROVIDED', connectTimeout: '1s' })));
  must(await server.setListener(httpListener({ routes: [routeTo('passthrough', {}, { prefix: '/direct' }), routeTo('named')] })));
  await waitFor('the second address', async () => (await ask(portOf(server))).body === 'named');
  assert.equal((await ask(portOf(server), { path: '/direct' })).body, 'no healthy upstream');
});

test('answers without a body leave the connection usable: HEAD, 204, 304', async (t) => {
  const app = await application(t, (request, response) => {
    response.statusCode = Number(request.url?.slice(1));
    if (request.method === 'HEAD') response.setHeader('content-length', '1234');
    response.end();
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const client = net.connect(portOf(server), '127.0.0.1');
  t.after(() => client.destroy());
  let text = '';
  client.on('data', (part) => (text += part.toString('latin1')));
  client.write('HEAD /200 HTTP/1.1\r\nhost: x\r\n\r\nGET /204 HTTP/1.1\r\nhost: x\r\n\r\nGET /304 HTTP/1.1\r\nhost: x\r\n\r\nGET /200 HTTP/1.1\r\nhost: x\r\n\r\n');
  await waitFor('four answers', () => (text.match(/HTTP\/1\.1 \d+/g) ?? []).length === 4);
  assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 204', 'HTTP/1.1 304', 'HTTP/1.1 200']);
  assert.match(text, /content-length: 1234/);
  assert.ok(!/204[^]*transfer-encoding[^]*304/.test(text));
});

test('a client that waits for 100 Continue gets it here, and the application is not asked', async (t) => {
  const app = await application(t, (request, response) => {
    request.resume().on('end', () => response.end(String(request.headers.expect)));
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const client = net.connect(portOf(server), '127.0.0.1');
  t.after(() => client.destroy());
  let text = '';
  client.on('data', (part) => (text += part.toString('latin1')));
  client.write('POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n');
  await waitFor('100', () => text === 'HTTP/1.1 100 Continue\r\n\r\n');
  client.write('abc');
  await waitFor('the answer', () => text.endsWith('undefined'));
});

test('HTTP/1.0 is asked to upgrade unless the listener takes it', async (t) => {
  const app = await application(t, (_request, response) => response.end('old'));
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  must(await server.setListener(httpListener({ name: 'old', routes: [routeTo('app')], hcm: { httpProtocolOptions: { acceptHttp10: true, defaultHostForHttp10: 'x' } } })));
  for (const [name, wanted] of [['main', 'HTTP/1.1 426'], ['old', 'HTTP/1.1 200']] as const) {
    const client = net.connect(portOf(server, name), '127.0.0.1');
    let text = '';
    let ended = false;
    client.on('data', (part) => (text += part.toString('latin1'))).on('end', () => (ended = true)).on('error', () => {});
    client.write('GET / HTTP/1.0\r\n\r\n');
    await waitFor('the end', () => ended);
    assert.ok(text.startsWith(wanted), text);
    client.destroy();
  }
});
