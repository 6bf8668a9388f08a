import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { compileRouteTable } from './route-table.ts';
import type { RateLimitDescriptor, RouteRateLimits } from './types.ts';

type Json = Record<string, unknown>;

function compiled(route: Json, host: Json = {}, action: Json = {}) {
  const json = { name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], ...host, routes: [{ match: { prefix: '/' }, route: { cluster: 'c', ...route, ...action } }] }] };
  return compileRouteTable(RouteConfiguration.decode(jsonToBinary('envoy.config.route.v3.RouteConfiguration', json)), () => ({ ok: true, value: null }));
}

function limitsOf(route: Json, host: Json = {}): RouteRateLimits | null {
  const table = compiled(route, host);
  assert.ok(table.ok, JSON.stringify(table));
  return table.value.match(new RequestHead('GET', '/'), 0, null)?.rateLimits ?? null;
}

interface Asked {
  readonly path?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly info?: Partial<StreamInfo>;
}

/** The descriptor that these actions make of the request. */
function descriptor(actions: readonly Json[], asked: Asked = {}, more: Json = {}): RateLimitDescriptor | null {
  const rule = limitsOf({ rateLimits: [{ actions, ...more }] })?.route[0];
  assert.ok(rule);
  const head = new RequestHead('GET', asked.path ?? '/', 'shop', HeaderMap.from(asked.fields ?? {}));
  const info = Object.assign(new StreamInfo({ ...unknownConnection, directRemoteAddress: '10.1.2.3:5000' }, 0, 0), { upstreamCluster: 'c', ...asked.info });
  return rule.descriptor(head, info, { localCluster: 'me' });
}

const entries = (...args: Parameters<typeof descriptor>) => descriptor(...args)?.entries.map(({ key, value }) => `${key}=${value}`) ?? null;

test('a field in UTF-8 is the text that limits are written for', () => {
  assert.deepEqual(entries([{ requestHeaders: { headerName: 'x-user', descriptorKey: 'user' } }], { fields: { 'x-user': Buffer.from('José').toString('latin1') } }), ['user=José']);
});

test('actions add their entries in order', () => {
  assert.deepEqual(entries([{ sourceCluster: {} }, { destinationCluster: {} }, { remoteAddress: {} }, { genericKey: { descriptorValue: 'x' } }]), ['source_cluster=me', 'destination_cluster=c', 'remote_address=10.1.2.3', 'generic_key=x']);
  assert.deepEqual(entries([{ genericKey: { descriptorKey: 'tier', descriptorValue: 'gold' } }]), ['tier=gold']);
});

test('a header that is absent leaves its entry out, or takes the whole descriptor away', () => {
  const header = { headerName: 'x-user', descriptorKey: 'user' };
  assert.deepEqual(entries([{ requestHeaders: header }], { fields: { 'x-user': 'ann' } }), ['user=ann']);
  assert.deepEqual(entries([{ requestHeaders: { headerName: ':path', descriptorKey: 'path' } }], { path: '/a' }), ['path=/a']);
  assert.equal(entries([{ genericKey: { descriptorValue: 'x' } }, { requestHeaders: header }]), null);
  assert.deepEqual(entries([{ genericKey: { descriptorValue: 'x' } }, { requestHeaders: { ...header, skipIfAbsent: true } }]), ['generic_key=x']);
  assert.equal(entries([{ requestHeaders: { ...header, skipIfAbsent: true } }]), null, 'no entry at all is no descriptor');
});

test('addresses are masked to their prefix', () => {
  const masked = (remote: string, v4PrefixMaskLen = 24, v6PrefixMaskLen = 40) => entries([{ maskedRemoteAddress: { v4PrefixMaskLen, v6PrefixMaskLen } }], { info: { downstreamRemoteAddress: remote } });
  assert.deepEqual(masked('10.1.2.3:5000'), ['masked_remote_address=10.1.2.0/24']);
  assert.deepEqual(masked('10.1.2.3:5000', 0), ['masked_remote_address=0.0.0.0/0']);
  assert.deepEqual(masked('[2001:db8:1234:5678::1]:5000'), ['masked_remote_address=2001:db8:1200::/40']);
  assert.deepEqual(masked('[2001:db8::5:0:1]:5000', 24, 128), ['masked_remote_address=2001:db8::5:0:1/128']);
  assert.equal(masked('/run/a.sock'), null);
});

test('matches add their value when the request matches, or does not, as expected', () => {
  const header = (more: Json = {}) => [{ headerValueMatch: { descriptorValue: 'admin', headers: [{ name: 'x-role', stringMatch: { exact: 'admin' } }], ...more } }];
  assert.deepEqual(entries(header(), { fields: { 'x-role': 'admin' } }), ['header_match=admin']);
  assert.equal(entries(header()), null);
  assert.deepEqual(entries(header({ expectMatch: false, descriptorKey: 'k' })), ['k=admin']);
  const query = [{ queryParameterValueMatch: { descriptorValue: 'big', queryParameters: [{ name: 'size', stringMatch: { prefix: '1' } }] } }];
  assert.deepEqual(entries(query, { path: '/a?size=100' }), ['query_match=big']);
  assert.equal(entries(query, { path: '/a?size=9' }), null);
});

test('metadata of the request or the route, with a default', () => {
  const key = { key: 'ns', path: [{ key: 'a' }, { key: 'b' }] };
  const metadata = (more: Json = {}) => [{ metadata: { descriptorKey: 'm', metadataKey: key, ...more } }];
  const dynamicMetadata = { ns: { a: { b: 'v' } } };
  assert.deepEqual(entries(metadata(), { info: { dynamicMetadata } }), ['m=v']);
  assert.deepEqual(entries(metadata({ source: 'ROUTE_ENTRY' }), { info: { routeMetadata: dynamicMetadata } }), ['m=v']);
  assert.deepEqual(entries(metadata({ defaultValue: 'd' })), ['m=d']);
  assert.equal(entries(metadata()), null);
  assert.equal(entries(metadata(), { info: { dynamicMetadata: { ns: { a: { b: { deep: 1 } } } } } }), null, 'only texts');
  assert.deepEqual(entries([{ genericKey: { descriptorValue: 'x' } }, ...metadata({ skipIfAbsent: true })]), ['generic_key=x']);
});

test('a limit from metadata replaces the one of the service', () => {
  const limit = { limit: { dynamicMetadata: { metadataKey: { key: 'ns', path: [{ key: 'limit' }] } } } };
  const actions = [{ genericKey: { descriptorValue: 'x' } }];
  assert.deepEqual(descriptor(actions, { info: { dynamicMetadata: { ns: { limit: { requests_per_unit: 42, unit: 'HOUR' } } } } }, limit)?.limit, { requestsPerUnit: 42, unit: 3 });
  assert.equal(descriptor(actions, { info: { dynamicMetadata: { ns: { limit: { requests_per_unit: 42, unit: 'FORTNIGHT' } } } } }, limit)?.limit, null);
  assert.equal(descriptor(actions, {}, limit)?.limit, null);
});

test("a route has its own limits and its virtual host's", () => {
  const one = (descriptorValue: string, stage = 0) => ({ stage, actions: [{ genericKey: { descriptorValue } }] });
  const limits = limitsOf({ rateLimits: [one('route', 3)], includeVhRateLimits: true }, { rateLimits: [one('host')] });
  assert.deepEqual([limits?.route.map(({ stage }) => stage), limits?.virtualHost.map(({ stage }) => stage), limits?.includeVirtualHost], [[3], [0], true]);
  assert.equal(limitsOf({}), null);
});

test('what cannot be made is refused by name', () => {
  const refused = (limit: Json) => {
    const table = compiled({ rateLimits: [limit] });
    return table.ok ? [] : table.error.map(({ path }) => path.replace('virtual_hosts[0].routes[0].route.rate_limits[0]', ''));
  };
  const any = { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: 'a' };
  assert.deepEqual(refused({ actions: [{ extension: { name: 'e', typedConfig: any } }] }), ['.actions[0].extension']);
  assert.deepEqual(refused({ actions: [] }), ['.actions']);
  assert.deepEqual(refused({ stage: 11, actions: [{ remoteAddress: {} }] }), ['.stage']);
  assert.deepEqual(refused({ actions: [{}] }), ['.actions[0]']);
  assert.deepEqual(refused({ actions: [{ headerValueMatch: { descriptorValue: 'a' } }] }), ['.actions[0].header_value_match.headers']);
  const warned = compiled({ rateLimits: [{ disableKey: 'k', actions: [{ remoteAddress: {} }] }] });
  assert.deepEqual(warned.ok && warned.value.warnings.map(({ path }) => path), ['virtual_hosts[0].routes[0].route.rate_limits[0].disable_key']);
});
