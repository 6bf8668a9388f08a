import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unknownConnection, type TlsInfo } from '@meltemi/http';
import { filterJson, requestText, Served } from '../../../testing/served.ts';
import { Wire } from '../../../testing/wire.ts';
import { traceMetadata } from './decision-trace.ts';

type Json = Record<string, unknown>;
const traced = (config: Json, ...more: Json[]) => [filterJson('trace', 'meltemi.filters.http.decision_trace.v1.DecisionTrace', config), ...more];
const rbac = (path: string) => filterJson('envoy.filters.http.rbac', 'envoy.extensions.filters.http.rbac.v3.RBAC', { rules: { policies: { 'ns[a]-policy[b]-rule[0]': { permissions: [{ urlPath: { path: { prefix: path } } }], principals: [{ any: true }] } } } });
const asks = ['x-meltemi-trace: 1'];

function answer(filters: Json[], fields: readonly string[], client: string | null) {
  const served = new Served({ filters, direction: 'inbound' });
  const wire = new Wire();
  const tls = client === null ? null : ({ peerPresented: true, peerValidated: true, peerUriSans: [client], peerDnsSans: [], peerSubject: '' } as unknown as TlsInfo);
  served.manager.serve(wire, { ...unknownConnection, tls, directRemoteAddress: wire.remoteAddress, localAddress: wire.localAddress });
  wire.receive(requestText('/shop', fields));
  const [upstream] = served.backend.requests;
  upstream?.respond();
  return { told: /x-meltemi-trace: (.*)\r\n/.exec(wire.sent)?.[1] ?? null, upstream, info: served.done[0] };
}

test('a caller who may ask is told route, cluster, policy and host, in the response and for the access log', () => {
  const { told, info, upstream } = answer(traced({ principals: ['cluster.local/ns/ops/*'] }, rbac('/shop')), asks, 'spiffe://cluster.local/ns/ops/sa/alice');
  const said = JSON.parse(told ?? '{}') as Json;
  assert.equal(said['cluster'], 'app');
  assert.equal(said['virtualHost'], 'all');
  assert.equal(said['allowedBy'], 'ns[a]-policy[b]-rule[0]');
  assert.equal(said['peer'], 'spiffe://cluster.local/ns/ops/sa/alice');
  assert.equal(said['direction'], 'inbound');
  assert.equal(info?.dynamicMetadata?.[traceMetadata.namespace]?.[traceMetadata.key], told);
  assert.equal(upstream?.head.headers.get('x-meltemi-trace'), '1');
});

test('a denial is told with its rule', () => {
  const { told } = answer(traced({ principals: ['*'] }, rbac('/elsewhere')), asks, 'spiffe://any');
  assert.equal((JSON.parse(told ?? '{}') as Json)['details'], 'rbac_access_denied_matched_policy[none]');
});

test('others are told nothing, and do not ask further on', () => {
  for (const client of ['spiffe://cluster.local/ns/web/sa/bob', null]) {
    const { told, info, upstream } = answer(traced({ principals: ['cluster.local/ns/ops/*'] }), asks, client);
    assert.equal(told, null);
    assert.equal(info?.dynamicMetadata?.[traceMetadata.namespace], undefined);
    assert.equal(upstream?.head.headers.get('x-meltemi-trace'), null);
  }
});

test('the proxy\'s own application may ask without a certificate, where that is allowed', () => {
  assert.notEqual(answer(traced({ allowLocal: true }), asks, null).told, null);
});

test('who does not ask is told nothing', () => {
  assert.equal(answer(traced({ principals: ['*'] }), [], 'spiffe://any').told, null);
});
