import assert from 'node:assert/strict';
import { cpSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { authority } from './testing/authority.ts';
import { backend, tcpBackend } from './testing/backend.ts';
import { cluster, httpListener, route, type Json } from './testing/bootstrap.ts';
import { RawConnection, request } from './testing/client.ts';
import { startProxy, temporaryFolder } from './testing/proxy-process.ts';
import { listenerPort, sample, samples } from './testing/samples.ts';
import { SnapshotServer } from './testing/snapshot-server.ts';

test('every sample is run by a test', () => {
  const folder = import.meta.dirname;
  const tests = [import.meta.filename, ...readdirSync(join(folder, 'samples')).map((name) => join(folder, 'samples', name))].map((file) => readFileSync(file, 'utf8')).join('\n');
  for (const name of readdirSync(samples)) assert.match(tests, new RegExp(`sample\\('${name}`), `no test runs ${name}`);
});

test('static.yaml routes by path', async () => {
  await using api = await backend('api');
  await using pages = await backend('pages');
  await using proxy = await startProxy(sample('static.yaml', { 8001: api.port, 8002: pages.port }));
  const reply = await request(proxy.port('web'), { path: '/api/x' });
  assert.deepEqual([reply.headers['x-backend'], reply.seen().url], ['api', '/x']);
  assert.equal((await request(proxy.port('web'), { path: '/x' })).headers['x-backend'], 'pages');
  await waitFor('the access log', () => proxy.out().includes('"GET /api/x HTTP/1.1" 200'));
});

test('websocket.yaml carries frames after the upgrade', async () => {
  await using app = await tcpBackend('app', (socket) => socket.once('data', () => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.on('data', (part: Buffer) => socket.write(part));
  }));
  await using proxy = await startProxy(sample('websocket.yaml', { 8001: app.port }));
  const head = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`;
  const open = new RawConnection(proxy.port('web')).send(head('/chat'));
  await open.until(/^HTTP\/1\.1 101 /);
  open.send('frame');
  await open.until(/frame$/);
  open.destroy();
});

test('double-proxy.yaml carries TCP over mutual TLS', async () => {
  const dir = temporaryFolder();
  const ca = authority(dir, 'ca');
  for (const name of ['service', 'client']) ca.issue(name, { dnsNames: [`${name}.example`] });
  await using service = await tcpBackend('service', (socket) => socket.on('data', (part: Buffer) => socket.write(`echo ${part.toString()}`)));
  await using wire = await tcpBackend('free port', () => {});
  await wire.stop();
  try {
    await using proxy = await startProxy(sample('double-proxy.yaml', { 8001: service.port, 10001: wire.port }, dir));
    const client = new RawConnection(proxy.port('near')).send('hello');
    await client.until(/^echo hello$/);
    client.destroy();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('from-files: a file moved over another is in force at once', async () => {
  const dir = temporaryFolder();
  await using first = await backend('first');
  await using second = await backend('second');
  cpSync(join(samples, 'from-files'), dir, { recursive: true });
  const write = (name: string, ports: Readonly<Record<string, number>>) => {
    writeFileSync(join(dir, 'new'), sample(`from-files/${name}`, ports, dir));
    renameSync(join(dir, 'new'), join(dir, name));
  };
  for (const name of ['lds.yaml', 'rds.yaml', 'cds.yaml', 'eds.yaml']) write(name, { 8001: first.port });
  try {
    await using proxy = await startProxy(sample('from-files/bootstrap.yaml', {}, dir));
    const port = await listenerPort(proxy, 'web');
    assert.equal((await request(port)).headers['x-backend'], 'first');
    write('eds.yaml', { 8001: second.port });
    await waitFor('the new endpoint', async () => (await request(port)).headers['x-backend'] === 'second');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('from-control-plane.yaml follows an xDS server', async () => {
  await using app = await backend('app');
  using server = await new SnapshotServer().start();
  server.set('sidecar', {
    [xdsType.cluster]: { version: '1', resources: { app: cluster('app', [app.port]) } },
    [xdsType.listener]: { version: '1', resources: { web: JSON.parse(JSON.stringify(httpListener({ name: 'web', routes: [route({ prefix: '/' }, 'app')] }))) as Json } },
  });
  await using proxy = await startProxy(sample('from-control-plane.yaml', { 18000: server.port }));
  assert.equal((await request(await listenerPort(proxy, 'web'))).headers['x-backend'], 'app');
});
