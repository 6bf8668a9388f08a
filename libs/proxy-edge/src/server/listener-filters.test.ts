import assert from 'node:assert/strict';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { waitFor } from '@meltemi/base';
import type { StreamInfo } from '@meltemi/http';
import { FlatStats } from '@meltemi/observe';
import { filterExtensions, writeProxyHeader } from '@meltemi/proxy';
import { compileListener, type AccessLog } from '@meltemi/snapshot';
import { jsonToBinary } from '@meltemi/api';
import { Listener as ListenerMessage } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { address, application, listenerOf, must, portOf, router, routeTo, staticCluster, workerServer } from './fixture.ts';

const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
const inspector = (name: 'tls' | 'http') => ({ name: `envoy.filters.listener.${name}_inspector`, typedConfig: { '@type': type(`filters.listener.${name}_inspector.v3.${name === 'tls' ? 'Tls' : 'Http'}Inspector`) } });
const proxyProtocol = (more: object = {}) => ({ name: 'envoy.filters.listener.proxy_protocol', typedConfig: { '@type': type('filters.listener.proxy_protocol.v3.ProxyProtocol'), ...more } });
const hcm = (cluster: string, more: object = {}) => ({ name: 'hcm', typedConfig: { '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'), statPrefix: 'http', routeConfig: { name: 'r', virtualHosts: [{ name: 'all', domains: ['*'], routes: [routeTo(cluster)] }] }, httpFilters: [router], ...more } });
const tcp = (cluster: string, more: object = {}) => ({ name: 'tcp', typedConfig: { '@type': type('filters.network.tcp_proxy.v3.TcpProxy'), statPrefix: 'tcp', cluster, ...more } });

/** Sends text, and resolves with all that came back when the other side closed. */
function talk(port: number, ...parts: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.on('data', (data: Buffer) => (heard += data.toString('latin1'))).on('error', () => {}).on('close', () => resolve(heard));
    for (const part of parts) socket.write(part);
  });
}

const request = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';

async function proxied(t: TestContext, settings: object, filters = [hcm('app', { useRemoteAddress: true })], more: object = {}) {
  const app = await application(t, (incoming, response) => response.end(String(incoming.headers['x-forwarded-for'])));
  const stats = new FlatStats();
  const logged: StreamInfo[] = [];
  const server = workerServer(t, { stats, openAccessLog: (_log: AccessLog) => (info) => logged.push(info) });
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(listenerOf({ name: 'main', address: address(0), listenerFilters: [proxyProtocol(settings)], listenerFiltersTimeout: '1s', filterChains: [{ filters }], ...more })));
  return { port: portOf(server), stats, logged, count: (name: string) => stats.counter(`proxy_proto.${name}`).value };
}

test('PROXY protocol: requests come from whom the header names, in both versions and in pieces', async (t) => {
  const { port, count } = await proxied(t, {});
  const header = writeProxyHeader(2, { sourceIp: '2001:db8::7', sourcePort: 5, destinationIp: 'fd00::9', destinationPort: 443 });
  assert.match(await talk(port, `PROXY TCP4 203.0.113.7 10.0.0.9 51000 443\r\n${request}`), /\r\n\r\n203\.0\.113\.7$/);
  assert.match(await talk(port, header, request), /2001:db8::7$/);
  assert.match(await talk(port, `PROXY UNKNOWN\r\n${request}`), /127\.0\.0\.1$/);
  const socket = net.connect(port, '127.0.0.1');
  let heard = '';
  socket.on('data', (data: Buffer) => (heard += data.toString()));
  for (const byte of `PROXY TCP4 203.0.113.8 10.0.0.9 1 2\r\n${request}`) {
    socket.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await waitFor('the answer', () => heard.endsWith('203.0.113.8'));
  assert.deepEqual([count('versions.v1.found'), count('versions.v2.found')], [3, 1]);
});

test('PROXY protocol: a connection without the header, with a wrong one or with a version not wanted is closed', async (t) => {
  const { port, count } = await proxied(t, { disallowedVersions: ['V1'], statPrefix: 'edge' });
  assert.deepEqual([await talk(port, request), await talk(port, `PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n${request}`)], ['', '']);
  const wrong = writeProxyHeader(2, { sourceIp: '1.2.3.4', sourcePort: 1, destinationIp: '1.2.3.4', destinationPort: 2 });
  wrong[13] = 0x12;
  assert.equal(await talk(port, wrong, request), '');
  assert.deepEqual([count('edge.not_found_disallowed'), count('edge.versions.v1.disallowed'), count('edge.versions.v2.error')], [1, 1, 1]);
});

test('PROXY protocol: where it may be absent, requests without it pass, and so does a version that is not looked for', async (t) => {
  const { port, count } = await proxied(t, { allowRequestsWithoutProxyProtocol: true, disallowedVersions: ['V1'] });
  assert.match(await talk(port, request), /127\.0\.0\.1$/);
  assert.match(await talk(port, `PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n\r\n`), /^HTTP\/1\.1 400/);
  assert.equal(count('not_found_allowed'), 2);
});

test('PROXY protocol: the access log has both addresses, values become metadata, and chains match on who it names', async (t) => {
  const backend = net.createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  t.after(() => backend.close());
  await new Promise((resolve) => backend.once('listening', resolve));
  const log = { accessLog: [{ name: 'log', typedConfig: { '@type': type('access_loggers.stream.v3.StdoutAccessLog') } }] };
  const stats = new FlatStats();
  const logged: StreamInfo[] = [];
  const server = workerServer(t, { stats, openAccessLog: () => (info) => logged.push(info) });
  must(server.setCluster(staticCluster('tcp', [(backend.address() as net.AddressInfo).port])));
  const extensions = { ...filterExtensions(), accessLoggers: new Map([[type('access_loggers.stream.v3.StdoutAccessLog'), { parse: () => ({ ok: true as const, value: {} }) }]]) };
  const listener = must(compileListener(ListenerMessage.decode(jsonToBinary('envoy.config.listener.v3.Listener', {
    name: 'main', address: address(0), listenerFilters: [proxyProtocol({ rules: [{ tlvType: 0xea, onTlvPresent: { metadataNamespace: 'aws', key: 'vpce' } }] })],
    filterChains: [{ filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: '203.0.113.0', prefixLen: 24 }] }, filters: [tcp('tcp', log)] }],
  })), extensions)).value;
  must(await server.setListener(listener));
  const header = (sourceIp: string) => writeProxyHeader(2, { sourceIp, sourcePort: 51000, destinationIp: '10.0.0.9', destinationPort: 443 }, [{ type: 0xea, value: Buffer.from('vpce-1') }]);
  assert.equal(await talk(portOf(server), header('198.51.100.1')), '');
  assert.equal(await talk(portOf(server), header('203.0.113.7')), 'hello');
  await waitFor('the entry', () => logged.length === 1);
  const [info] = logged;
  assert.deepEqual([info?.downstreamRemoteAddress, info?.connection.localAddress, info?.dynamicMetadata?.['aws']?.['vpce']], ['203.0.113.7:51000', '10.0.0.9:443', 'vpce-1']);
  assert.match(info?.connection.directRemoteAddress ?? '', /^127\.0\.0\.1:/);
});

test('a server that speaks first is waited for once, then its destination is known; HTTP on the same port is still HTTP', async (t) => {
  const greeter = net.createServer((socket) => {
    socket.on('error', () => {}).write('220 mail ready\r\n');
    socket.on('data', (data: Buffer) => socket.end(data.toString().startsWith('QUIT') ? '221 bye\r\n' : '500 what\r\n'));
  }).listen(0, '127.0.0.1');
  t.after(() => greeter.close());
  await new Promise((resolve) => greeter.once('listening', resolve));
  const app = await application(t, (_incoming, response) => response.end('web'));
  const stats = new FlatStats();
  const server = workerServer(t, { stats });
  must(server.setCluster(staticCluster('mail', [(greeter.address() as net.AddressInfo).port])));
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(listenerOf({
    name: 'main', statPrefix: 'main', address: address(0), listenerFilters: [inspector('tls'), inspector('http')], listenerFiltersTimeout: '0.15s', continueOnListenerFiltersTimeout: true,
    filterChains: [{ filterChainMatch: { applicationProtocols: ['http/1.1'] }, filters: [hcm('app')] }], defaultFilterChain: { filters: [tcp('mail')] },
  })));
  const waits = () => stats.counter('listener.main.downstream_pre_cx_timeout').value;
  /** A mail client: it speaks when it was greeted. */
  const mail = () => new Promise<string>((resolve) => {
    let heard = '';
    const socket = net.connect(portOf(server), '127.0.0.1').on('data', (data: Buffer) => {
      if (heard === '') socket.write('QUIT\r\n');
      heard += data.toString();
    }).on('close', () => resolve(heard));
  });
  const greeted = '220 mail ready\r\n221 bye\r\n';
  assert.deepEqual([await mail(), waits()], [greeted, 1]);
  assert.deepEqual([await mail(), await mail(), waits()], [greeted, greeted, 1]);
  assert.match(await talk(portOf(server), request), /web$/);
  assert.deepEqual([await mail(), waits()], [greeted, 2]);
});

test('HTTP/2 with prior knowledge is told from its preface, also when that comes in pieces', async (t) => {
  const backend = net.createServer((socket) => socket.once('data', () => socket.end('two'))).listen(0, '127.0.0.1');
  t.after(() => backend.close());
  await new Promise((resolve) => backend.once('listening', resolve));
  const server = workerServer(t);
  must(server.setCluster(staticCluster('two', [(backend.address() as net.AddressInfo).port])));
  must(await server.setListener(listenerOf({ name: 'main', address: address(0), listenerFilters: [inspector('http')], filterChains: [{ filterChainMatch: { applicationProtocols: ['h2c'] }, filters: [tcp('two')] }] })));
  assert.equal(await talk(portOf(server), 'PRI * HTTP/2.0\r\n', '\r\nSM\r\n\r\n'), 'two');
  assert.equal(await talk(portOf(server), request), '');
});
