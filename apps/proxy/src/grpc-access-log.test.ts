import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, ServerCredentials, type sendUnaryData, type ServerReadableStream } from '@grpc/grpc-js';
import type { HTTPAccessLogEntry, TCPAccessLogEntry } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import { AccessLogServiceService, type StreamAccessLogsMessage, type StreamAccessLogsResponse } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';
import { waitFor } from '@meltemi/base';
import { authority } from './testing/authority.ts';
import { backend, tcpBackend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, fileLog, filter, httpListener, route, tcpListener, typeOf, type Json } from './testing/bootstrap.ts';
import { exchange, RawConnection, request } from './testing/client.ts';
import { startProxy, temporaryFolder } from './testing/proxy-process.ts';

let dir: string;
let app: Backend;
let service: Server;
let port = 0;
const http: HTTPAccessLogEntry[] = [];
const tcp: TCPAccessLogEntry[] = [];
const logNames = new Set<string>();
let certificates: ReturnType<typeof authority>;

before(async () => {
  dir = temporaryFolder();
  app = await backend('app');
  certificates = authority(dir, 'logs');
  const leaf = certificates.issue('service', { dnsNames: ['logs.example'] });
  service = new Server();
  service.addService(AccessLogServiceService, {
    streamAccessLogs(call: ServerReadableStream<StreamAccessLogsMessage, StreamAccessLogsResponse>, reply: sendUnaryData<StreamAccessLogsResponse>) {
      call.on('data', ({ identifier, logEntries }: StreamAccessLogsMessage) => {
        if (identifier) logNames.add(`${identifier.logName} of ${identifier.node?.id}`);
        if (logEntries?.$case === 'httpLogs') http.push(...logEntries.value.logEntry);
        if (logEntries?.$case === 'tcpLogs') tcp.push(...logEntries.value.logEntry);
      });
      call.on('error', () => {});
      call.on('end', () => reply(null, {}));
    },
  });
  port = await new Promise<number>((resolve, reject) => service.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(leaf.cert), private_key: Buffer.from(leaf.key) }]), (error, bound) => (error ? reject(error) : resolve(bound))));
});
after(async () => {
  service.forceShutdown();
  await app.stop();
  rmSync(dir, { recursive: true, force: true });
});

const types = 'type.googleapis.com/envoy.extensions.access_loggers.grpc.v3';
const common = (more: Json = {}) => ({ log_name: 'mine', grpc_service: { envoy_grpc: { cluster_name: 'logs' } }, buffer_flush_interval: '0.05s', ...more });
const logs = (): Json => cluster('logs', [port], {
  transport_socket: filter('tls', typeOf.upstreamTls, { sni: 'logs.example', common_tls_context: { validation_context: { trusted_ca: { filename: certificates.file }, match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'logs.example' } }] } } }),
});

test('HTTP and TCP entries reach a service over TLS, with the headers and tags that were asked for', async () => {
  const access_log = [filter('envoy.access_loggers.http_grpc', `${types}.HttpGrpcAccessLogConfig`, {
    common_config: common({ custom_tags: [{ tag: 'tier', literal: { value: 'gold' } }, { tag: 'who', request_header: { name: 'x-who' } }] }), additional_request_headers_to_log: ['X-Who'], additional_response_headers_to_log: ['x-backend'],
  })];
  await using proxy = await startProxy(bootstrap([
    httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { access_log } }),
    tcpListener('tcp', { cluster: 'app', access_log: [filter('envoy.access_loggers.tcp_grpc', `${types}.TcpGrpcAccessLogConfig`, { common_config: common({ log_name: 'tcp' }) })] }),
  ], [cluster('app', [app.port]), logs()]));
  await request(proxy.port('web'), { path: '/logged?x', headers: { host: 'a.example', 'x-who': 'me' } });
  const entry = await waitFor('the HTTP entry', () => http.find(({ request: sent }) => sent?.path === '/logged?x'));
  assert.deepEqual(entry.commonProperties?.customTags, { tier: 'gold', who: 'me' });
  assert.deepEqual([entry.request?.authority, entry.request?.requestHeaders, entry.response?.responseCode, entry.response?.responseHeaders], ['a.example', { 'x-who': 'me' }, 200, { 'x-backend': 'app' }]);
  assert.equal(entry.commonProperties?.accessLogType, 6);
  await exchange(proxy.port('tcp'), 'GET /tcp HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const session = await waitFor('the TCP entry', () => tcp[0]);
  assert.deepEqual([session.commonProperties?.upstreamCluster, session.commonProperties?.accessLogType, session.connectionProperties?.receivedBytes], ['app', 3, 49n]);
  assert.deepEqual([...logNames].toSorted(), ['mine of test', 'tcp of test']);
});

test('entries that wait are handed over when the proxy ends', async () => {
  const access_log = [filter('envoy.access_loggers.http_grpc', `${types}.HttpGrpcAccessLogConfig`, { common_config: common({ buffer_flush_interval: '60s' }) })];
  await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { access_log } })], [cluster('app', [app.port]), logs()]));
  await request(proxy.port('web'), { path: '/at-the-end' });
  await proxy.stop();
  await waitFor('the entry', () => http.some(({ request: sent }) => sent?.path === '/at-the-end'));
});

test('a long stream is logged when it begins, on its way and at its end; a TCP session too', async () => {
  await using echo = await tcpBackend('echo', (socket) => socket.pipe(socket));
  const log = (name: string) => fileLog(join(dir, name), { log_format: { text_format_source: { inline_string: '%ACCESS_LOG_TYPE% %BYTES_RECEIVED%\n' } } });
  const options = { access_log_flush_interval: '0.05s' };
  await using proxy = await startProxy(bootstrap([
    httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { access_log: [log('http.log'), { ...log('ends.log'), filter: { log_type_filter: { types: ['DownstreamEnd'] } } }], access_log_options: { ...options, flush_access_log_on_new_request: true } } }),
    tcpListener('tcp', { cluster: 'echo', access_log: [log('tcp.log')], access_log_options: { ...options, flush_access_log_on_connected: true } }),
  ], [cluster('app', [app.port]), cluster('echo', [echo.port])]));
  const lines = (name: string) => readFileSync(join(dir, name), 'utf8').trim().split('\n').map((line) => line.split(' ')[0]);
  await request(proxy.port('web'), { headers: { 'x-reply-delay-ms': '400' } });
  await waitFor('the end', () => lines('http.log').at(-1) === 'DownstreamEnd');
  const written = lines('http.log');
  assert.equal(written[0], 'DownstreamStart');
  assert.ok(written.filter((line) => line === 'DownstreamPeriodic').length >= 1, written.join());
  await waitFor('the log of ends', () => lines('ends.log')[0] !== '');
  assert.deepEqual(lines('ends.log'), ['DownstreamEnd']);
  const session = new RawConnection(proxy.port('tcp')).send('x');
  await waitFor('a line on the way', () => lines('tcp.log').includes('TcpPeriodic'));
  session.destroy();
  await waitFor('the end', () => lines('tcp.log').at(-1) === 'TcpConnectionEnd');
  assert.equal(lines('tcp.log')[0], 'TcpUpstreamConnected');
});

test('a connection that no chain serves is in the listener\'s own log', async () => {
  const leaf = certificates.issue('web', { dnsNames: ['web.example'] });
  const access_log = [fileLog(join(dir, 'listener.log'), { log_format: { text_format_source: { inline_string: '%RESPONSE_FLAGS% %CONNECTION_TERMINATION_DETAILS% %DOWNSTREAM_TRANSPORT_FAILURE_REASON%\n' } } })];
  const tls = { transport_socket: filter('tls', typeOf.downstreamTls, { common_tls_context: { tls_certificates: [{ certificate_chain: { filename: leaf.certFile }, private_key: { filename: leaf.keyFile } }] } }) };
  await using proxy = await startProxy(bootstrap([
    httpListener({ name: 'none', chain: { filter_chain_match: { destination_port: 1 } }, listener: { access_log } }), httpListener({ name: 'tls', chain: tls, listener: { access_log } }),
  ], []));
  const read = () => readFileSync(join(dir, 'listener.log'), 'utf8');
  net.connect(proxy.port('none'), '127.0.0.1').on('error', () => {});
  await waitFor('the refused one', () => /^NR filter_chain_not_found -$/m.test(read()));
  new RawConnection(proxy.port('tls')).send('GET / HTTP/1.1\r\n\r\n');
  await waitFor('the failed handshake', () => /^- - \S.+$/m.test(read()));
});
