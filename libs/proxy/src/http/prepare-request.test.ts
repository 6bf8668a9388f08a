import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection, type TlsInfo } from '@meltemi/http';
import type { HcmConfig } from '@meltemi/snapshot';
import { prepareRequest } from './prepare-request.ts';
import { unknownNode } from '../node.ts';
import { RequestIds } from './request-id.ts';

const parts = { ids: new RequestIds((buffer) => buffer.fill(0xab)), node: { ...unknownNode, id: 'node-1', cluster: 'productpage' }, internalOnlyHeaders: ['x-inside'], origin: null };
const generated = 'abababab-abab-4bab-abab-abababababab';
const base = {
  useRemoteAddress: true, xffNumTrustedHops: 0, skipXffAppend: false, appendXForwardedPort: false, internalAddresses: null, via: '', generateRequestId: true,
  preserveExternalRequestId: false, schemeToOverwrite: null, forwardClientCert: 'sanitize', setCurrentClientCert: { subject: true, cert: false, chain: false, dns: false, uri: true },
} as unknown as HcmConfig;

function prepared(config: Partial<HcmConfig>, headers: Parameters<typeof HeaderMap.from>[0], from = '203.0.113.9:5555', tls: TlsInfo | null = null, sent: Partial<RequestHead> = {}) {
  const head = Object.assign(new RequestHead('GET', '/', 'a', HeaderMap.from(headers), tls === null ? 'http' : 'https'), sent);
  const info = new StreamInfo({ ...unknownConnection, directRemoteAddress: from, localAddress: '10.0.0.1:8080', tls }, 0, 0);
  const tellsId = prepareRequest({ ...base, ...config }, parts, head, info);
  return { fields: Object.fromEntries(head.headers), head, info, tellsId };
}

test('at the edge the client is the TCP peer, and what it claims is taken away', () => {
  const { fields } = prepared({}, { 'x-envoy-internal': 'true', 'x-envoy-max-retries': '9', 'x-envoy-original-path': '/x', 'x-request-id': 'mine', 'x-forwarded-client-cert': 'By=me' });
  assert.deepEqual(fields, { 'x-request-id': generated, 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'http', 'x-envoy-external-address': '203.0.113.9' });
});

test('a peer within the internal addresses and without x-forwarded-for keeps its say', () => {
  const internalAddresses = { contains: (address: string) => address.startsWith('10.') } as HcmConfig['internalAddresses'];
  const { fields } = prepared({ internalAddresses }, { 'x-envoy-max-retries': '9', 'x-request-id': 'mine' }, '10.1.2.3:1');
  assert.equal(fields['x-envoy-internal'], 'true');
  assert.equal(fields['x-envoy-max-retries'], '9');
  assert.equal(fields['x-request-id'], 'mine');
});

test('a private address alone makes nobody internal: the balancer in front of a gateway has one', () => {
  const { fields } = prepared({}, { 'x-envoy-max-retries': '9', 'x-envoy-original-dst-host': '10.0.0.1:22', 'x-request-id': 'mine' }, '10.1.2.3:1');
  assert.deepEqual(fields, { 'x-request-id': generated, 'x-forwarded-for': '10.1.2.3', 'x-forwarded-proto': 'http', 'x-envoy-external-address': '10.1.2.3' });
});

test('what proxies say of a request nobody says with underscores', () => {
  const { fields } = prepared({ useRemoteAddress: false }, { x_forwarded_for: '10.0.0.1', 'x-forwarded_client-cert': 'By=me', x_envoy_internal: 'true', x_request_id: 'forged', x_own: 'kept', 'x-request-id': 'mine', other_name: 'kept' });
  assert.deepEqual(fields, { x_own: 'kept', 'x-request-id': 'mine', other_name: 'kept', 'x-forwarded-proto': 'http' });
});

test('with trusted hops the client is found from the right of x-forwarded-for', () => {
  const { fields, info } = prepared({ xffNumTrustedHops: 1 }, { 'x-forwarded-for': '198.51.100.7, 192.0.2.1', 'x-forwarded-proto': 'https' });
  assert.equal(info.downstreamRemoteAddress, '192.0.2.1:0');
  assert.equal(fields['x-forwarded-for'], '198.51.100.7, 192.0.2.1,203.0.113.9');
  assert.equal(fields['x-forwarded-proto'], 'https');
});

test('an empty list gets its first entry, and no empty one before it', () => {
  const { fields } = prepared({ via: 'mesh' }, { 'x-forwarded-for': '', via: '' });
  assert.deepEqual([fields['x-forwarded-for'], fields['via']], ['203.0.113.9', 'mesh']);
});

test('inside the mesh x-forwarded-for is believed and not added to', () => {
  const { fields, info, head } = prepared({ useRemoteAddress: false }, { 'x-forwarded-for': '198.51.100.7', 'x-forwarded-proto': 'https', 'x-request-id': 'kept' });
  assert.equal(fields['x-forwarded-for'], '198.51.100.7');
  assert.equal(fields['x-request-id'], 'kept');
  assert.equal(info.downstreamRemoteAddress, '198.51.100.7:0');
  assert.equal(head.scheme, 'https');
});

test('the client certificate header says who the peer is, and forgets forgeries', () => {
  const tls = { peerPresented: true, localUriSans: ['spiffe://s'], peerUriSans: ['spiffe://c'], peerDnsSans: [], peerFingerprint256: 'ff', peerSubject: 'CN=c', peerCertPem: '' } as unknown as TlsInfo;
  const own = 'By=spiffe://s;Hash=ff;Subject="CN=c";URI=spiffe://c';
  const sent = { 'x-forwarded-client-cert': 'By=before' };
  const value = (mode: HcmConfig['forwardClientCert'], peer: TlsInfo | null) => prepared({ forwardClientCert: mode }, sent, undefined, peer).fields['x-forwarded-client-cert'];
  assert.equal(value('append-forward', tls), `By=before,${own}`);
  assert.equal(value('sanitize-set', tls), own);
  assert.equal(value('sanitize', tls), undefined);
  assert.equal(value('forward-only', tls), 'By=before');
  assert.equal(value('append-forward', null), undefined);
  assert.equal(value('always-forward-only', null), 'By=before');
});

test('add_user_agent names this service, and leaves a client its own', () => {
  const named = prepared({ addUserAgent: true, useRemoteAddress: false }, {}).fields;
  assert.equal(named['user-agent'], 'productpage');
  assert.equal(named['x-envoy-downstream-service-cluster'], 'productpage');
  assert.equal(named['x-envoy-downstream-service-node'], 'node-1');
  assert.equal(prepared({ addUserAgent: true, useRemoteAddress: false }, { 'user-agent': 'curl/8' }).fields['user-agent'], 'curl/8');
});

test('the scheme is what HTTP/2 says, then what a trustworthy x-forwarded-proto says, then what the connection is', () => {
  const scheme = (config: Partial<HcmConfig>, headers: Record<string, string>, sent: Partial<RequestHead> = {}) => prepared(config, headers, undefined, null, sent).head.scheme;
  const https = { 'x-forwarded-proto': 'https' };
  const http2 = (word: string) => ({ protocol: 'HTTP/2', scheme: word }) as const;
  assert.deepEqual([scheme({}, {}, http2('https')), scheme({ useRemoteAddress: false }, https, http2('http')), scheme({}, {}, http2('HTTPS')), scheme({}, {}, http2('ftp'))], ['https', 'http', 'https', 'http']);
  assert.deepEqual([scheme({}, https), scheme({ xffNumTrustedHops: 1 }, https), scheme({ useRemoteAddress: false }, https), scheme({ useRemoteAddress: false }, { 'x-forwarded-proto': 'wss' })], ['http', 'https', 'https', 'http']);
});

test('a scheme that is overwritten is told to the service too', () => {
  const { fields, head } = prepared({ schemeToOverwrite: 'https', useRemoteAddress: false }, { 'x-forwarded-proto': 'http' });
  assert.deepEqual([head.scheme, fields['x-forwarded-proto']], ['https', 'https']);
});

test('the port of the listener is told where a proxy in front did not tell one that is believed', () => {
  const port = (config: Partial<HcmConfig>, headers: Record<string, string> = {}) => prepared({ appendXForwardedPort: true, ...config }, headers).fields['x-forwarded-port'];
  const said = { 'x-forwarded-port': '443' };
  assert.deepEqual([port({}), port({}, said), port({ xffNumTrustedHops: 1 }, said), port({ useRemoteAddress: false }), port({ useRemoteAddress: false }, said)], ['8080', '8080', '443', '8080', '443']);
});

test('a referer is taken away when it is said twice, or tells a fragment or user information', () => {
  const kept = (...values: string[]) => prepared({}, values.map((value) => ['referer', value] as const)).fields['referer'] !== undefined;
  for (const value of ['https://shop.test/a?b=1', 'http://shop.test', '/a:b?c=/d', 'a/b:c', '?q']) assert.ok(kept(value), value);
  for (const value of ['https://me:secret@shop.test/', 'https://shop.test/a#here', '/a#here', 'a:b/c', 'about:blank']) assert.ok(!kept(value), value);
  assert.ok(!kept('https://shop.test/', 'https://shop.test/'));
});

test('fields for insiders alone are taken from everybody else', () => {
  const internalAddresses = { contains: () => true } as unknown as HcmConfig['internalAddresses'];
  assert.equal(prepared({}, { 'x-inside': '1' }).fields['x-inside'], undefined);
  assert.equal(prepared({ useRemoteAddress: false }, { 'x-inside': '1' }).fields['x-inside'], undefined);
  assert.equal(prepared({ internalAddresses }, { 'x-inside': '1' }).fields['x-inside'], '1');
});

test('via is one list, and a forced trace has its request id told', () => {
  assert.equal(prepared({ via: 'edge' }, { via: '1.1 cdn' }).fields['via'], '1.1 cdn, edge');
  const internalAddresses = { contains: () => true } as unknown as HcmConfig['internalAddresses'];
  assert.deepEqual([prepared({ internalAddresses }, { 'x-envoy-force-trace': '1' }).tellsId, prepared({}, { 'x-envoy-force-trace': '1' }).tellsId, prepared({}, {}).tellsId], [true, false, false]);
});
