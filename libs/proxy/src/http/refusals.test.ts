import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestText, routeToApp, Served } from '../testing/served.ts';

/** What one client gets for these bytes, and the proxy it was sent to. */
function send(text: string, hcm: Record<string, unknown> = {}, routes = [routeToApp()]) {
  const proxy = new Served({ hcm, routes });
  const { wire } = proxy.connect();
  wire.receive(text);
  return { proxy, wire };
}

test('a request refused with 400 ends its connection, unless invalid messages are to end their stream only', () => {
  const bad = requestText('/a%00b');
  const closed = send(bad, { normalizePath: true }).wire;
  assert.match(closed.sent, /^HTTP\/1\.1 400 [\s\S]*connection: close\r\n/);
  assert.equal(closed.ended, true);
  for (const open of [{ streamErrorOnInvalidHttpMessage: true }, { httpProtocolOptions: { overrideStreamErrorOnInvalidHttpMessage: true } }]) {
    const { wire } = send(bad, { normalizePath: true, ...open });
    assert.doesNotMatch(wire.sent, /connection: close/);
    assert.equal(wire.ended, false);
  }
});

test('a path with escaped slashes is redirected for those who follow, and refused for gRPC', () => {
  const hcm = { pathWithEscapedSlashesAction: 'UNESCAPE_AND_REDIRECT' };
  const asked = (fields: readonly string[]) => send(requestText('/a%2fb', fields), hcm);
  assert.match(asked([]).wire.sent, /^HTTP\/1\.1 307 [\s\S]*\r\nlocation: \/a\/b\r\n/);
  const { wire, proxy } = asked(['content-type: application/grpc']);
  assert.match(wire.sent, /^HTTP\/1\.1 200 [\s\S]*\r\ngrpc-status: 13\r\n/);
  assert.doesNotMatch(wire.sent, /location/);
  assert.equal(proxy.done[0]?.responseCodeDetails, 'path_normalization_failed');
});

test('only a port is stripped from a host', () => {
  for (const [host, expected] of [['a:80', 'a'], ['a:x', 'a:x'], ['a:', 'a:'], ['[::1]:80', '[::1]'], ['[::1]', '[::1]']] as const) {
    const { proxy } = send(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`, { stripAnyHostPort: true });
    assert.equal(proxy.backend.requests[0]?.head.authority, expected);
  }
});

test('what cannot be read is answered as Envoy does: reason phrase, server, date; and logged', () => {
  const { wire, proxy } = send('GET / HTTP/1.1\r\nhost: x\r\nbad name: 1\r\n\r\n');
  assert.match(wire.sent, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*server: envoy\r\n[\s\S]*date: [\s\S]*connection: close\r\n\r\nBad Request$/);
  assert.deepEqual([proxy.done[0]?.responseCode, proxy.done[0]?.responseCodeDetails], [400, 'http1.codec_error']);
  assert.match(send(`GET / HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(70_000)}\r\n\r\n`).wire.sent, /^HTTP\/1\.1 431 [\s\S]*Request Header Fields Too Large$/);
  assert.match(send('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n').wire.sent, /^HTTP\/1\.1 501 [\s\S]*Not Implemented$/);
});

test('a target that is no path is not found', () => {
  for (const text of ['OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n', 'GET http://a/b HTTP/1.1\r\nhost: x\r\n\r\n']) {
    const { wire, proxy } = send(text, { httpProtocolOptions: { allowAbsoluteUrl: false } });
    assert.match(wire.sent, /^HTTP\/1\.1 404 /);
    assert.equal(proxy.done[0]?.responseCodeDetails, 'absolute_path_rejected');
  }
});

test('an upgrade is the route\'s to allow or forbid, else the connection manager\'s', () => {
  const ask = requestText('/', ['connection: upgrade', 'upgrade: websocket']);
  const route = (enabled: boolean) => [routeToApp({}, { upgradeConfigs: [{ upgradeType: 'websocket', enabled }] })];
  const allowed = { upgradeConfigs: [{ upgradeType: 'websocket' }] };
  for (const [passes, hcm, routes] of [[true, allowed, undefined], [false, {}, undefined], [true, {}, route(true)], [false, allowed, route(false)]] as const) {
    const { wire, proxy } = send(ask, hcm, routes === undefined ? undefined : [...routes]);
    assert.equal(proxy.backend.requests.length, passes ? 1 : 0);
    if (passes) continue;
    assert.match(wire.sent, /^HTTP\/1\.1 403 [\s\S]*connection: close/);
    assert.equal(proxy.done[0]?.responseCodeDetails, 'upgrade_failed');
  }
});

test('a CONNECT that ends here is a connection of its own: 200, then bytes both ways', () => {
  const { wire, proxy } = send('CONNECT db:5432 HTTP/1.1\r\nhost: db:5432\r\n\r\nearly', {}, [{ match: { connectMatcher: {} }, route: { cluster: 'app', upgradeConfigs: [{ upgradeType: 'CONNECT', connectConfig: {} }] } }]);
  const [host] = proxy.backend.connections;
  assert.ok(host);
  assert.match(wire.sent, /^HTTP\/1\.1 200 OK\r\n(?!.*(?:content-length|transfer-encoding))/s);
  assert.equal(host.sent, 'early');
  host.receive('from the host');
  assert.ok(wire.sent.endsWith('\r\n\r\nfrom the host'));
  wire.sink.onEnd();
  assert.equal(host.ended, true);
});

test('the route\'s timeout is for the answer to an upgrade, not for what comes after', () => {
  const ask = requestText('/', ['connection: upgrade', 'upgrade: websocket']);
  for (const agreed of [true, false]) {
    const { wire, proxy } = send(ask, { upgradeConfigs: [{ upgradeType: 'websocket' }] }, [routeToApp({}, { timeout: '2s' })]);
    if (agreed) proxy.backend.requests[0]?.begin(101, ['upgrade', 'websocket']);
    wire.sink.onEnd();
    proxy.pass(3_000);
    assert.equal(wire.sent.includes('504 Gateway Timeout'), !agreed);
    assert.equal(proxy.done.length, agreed ? 0 : 1);
  }
});

test('an empty Host is a missing one, whatever host HTTP/1.0 would get', () => {
  const options = { httpProtocolOptions: { acceptHttp10: true, defaultHostForHttp10: 'a' } };
  const { wire, proxy } = send('GET / HTTP/1.1\r\nhost: \r\n\r\n', options);
  assert.match(wire.sent, /^HTTP\/1\.1 400 /);
  assert.equal(proxy.done[0]?.responseCodeDetails, 'missing_host_header');
  assert.equal(send('GET / HTTP/1.0\r\n\r\n', options).proxy.backend.requests[0]?.head.authority, 'a');
});
