import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestText, routeToApp, Served } from '../testing/served.ts';

type Json = Record<string, unknown>;

const base = 'type.googleapis.com/envoy.extensions.http.original_ip_detection';
const forwardedFor = (config: Json) => ({ name: 'xff', typedConfig: { '@type': `${base}.xff.v3.XffConfig`, ...config } });
const field = (config: Json) => ({ name: 'field', typedConfig: { '@type': `${base}.custom_header.v3.CustomHeaderConfig`, headerName: 'X-Real-Client', ...config } });
const served = (...originalIpDetectionExtensions: Json[]) => new Served({
  hcm: {
    originalIpDetectionExtensions, internalAddressConfig: { cidrRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 8 }] },
    routeConfig: { name: 'r', virtualHosts: [{ name: 'a', domains: ['*'], routes: [routeToApp()], requestHeadersToAdd: [{ header: { key: 'x-client', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' } }] }] },
  },
});

/** The client that the service is told of, whether it counts as internal, and x-forwarded-for. */
function told(world: Served, fields: readonly string[]) {
  const { wire } = world.connect();
  wire.receive(requestText('/', fields));
  const head = world.backend.requests.pop()?.head;
  return head === undefined ? wire.sent.slice(0, 12) : ['x-client', 'x-envoy-internal', 'x-forwarded-for'].map((name) => head.headers.get(name));
}

test('a field of the proxy in front says who the client is, and may call it internal', () => {
  const plain = served(field({}));
  assert.deepEqual(told(plain, ['x-real-client: 10.1.1.1']), ['10.1.1.1', null, null]);
  assert.deepEqual(told(served(field({ allowExtensionToSetAddressAsTrusted: true })), ['x-real-client: 10.1.1.1']), ['10.1.1.1', 'true', null]);
  const [peer] = told(plain, []) as string[];
  assert.deepEqual(told(plain, ['x-real-client: nobody', 'x-forwarded-for: 10.9.9.9']), [peer, null, '10.9.9.9']);
});

test('without the field a request is refused where that is asked for, and else the next is tried', () => {
  assert.equal(told(served(field({ rejectWithStatus: { code: 'Unauthorized' } })), []), 'HTTP/1.1 401');
  assert.equal(told(served(field({ rejectWithStatus: { code: 'OK' } })), []), 'HTTP/1.1 403');
  assert.deepEqual(told(served(field({}), forwardedFor({ xffNumTrustedHops: 1 })), ['x-forwarded-for: 192.0.2.9, 198.51.100.7']), ['192.0.2.9', null, '192.0.2.9, 198.51.100.7']);
});

test('of x-forwarded-for the last entry counts that is no proxy of ours, if the peer is one', () => {
  const peer = (told(served(field({})), []) as string[])[0] ?? '';
  const among = (...prefixes: string[]) => ({ cidrs: prefixes.map((addressPrefix) => ({ addressPrefix, prefixLen: 24 })) });
  const ours = served(forwardedFor({ xffTrustedCidrs: among(peer, '198.51.100.0') }));
  assert.deepEqual(told(ours, ['x-forwarded-for: 192.0.2.1, 192.0.2.9, 198.51.100.7']), ['192.0.2.9', null, '192.0.2.1, 192.0.2.9, 198.51.100.7']);
  assert.deepEqual(told(ours, ['x-forwarded-for: 198.51.100.8,198.51.100.7']), ['198.51.100.8', null, '198.51.100.8,198.51.100.7'], 'all are ours');
  assert.deepEqual(told(ours, ['x-forwarded-for: 192.0.2.9, rubbish']), [peer, null, '192.0.2.9, rubbish']);
  assert.deepEqual(told(ours, [`x-forwarded-for: ${'192.0.2.9,'.repeat(20)}192.0.2.9`])[0], peer, 'too many to be true');
  assert.deepEqual(told(served(forwardedFor({ xffTrustedCidrs: among('198.51.100.0') })), ['x-forwarded-for: 192.0.2.9']), [peer, null, `192.0.2.9,${peer}`], 'a stranger is added');
  assert.deepEqual(told(served(forwardedFor({ skipXffAppend: false })), ['x-forwarded-for: 10.2.2.2']), ['10.2.2.2', 'true', `10.2.2.2,${peer}`]);
});
