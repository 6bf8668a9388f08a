import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TcpProxy } from '@meltemi/api/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { xdsType } from '@meltemi/xds';
import { configsOf, meshOf, proxyOf } from '../../testing/mesh.test-support.ts';
import { assertProxyTakes } from '../../testing/proxy-takes.test-support.ts';
import { translate } from '../translate.ts';

const istio = (kind: string, name: string, spec: string) => `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
const entry = istio('ServiceEntry', 'db', '{hosts: [db.test], addresses: [1.2.3.4], resolution: STATIC, endpoints: [{address: 1.1.1.1}], ports: [{number: 90, name: p, protocol: TCP}]}');
const tunnel = (host: string, more = '') => `tunnel: {targetHost: ${host}, targetPort: 443${more}}`;

/** Hostnames of the tunnels on the entry's listener; "POST " before those by POST, "" = none. */
function tunnelsOf(yaml: string): string[] {
  const push = meshOf(configsOf(entry + yaml));
  const proxy = proxyOf('sidecar~10.0.0.1~client.default~default.svc.cluster.local', { NAMESPACE: 'default' });
  assertProxyTakes(push, proxy);
  const listener = [...translate(push, proxy, { typeUrl: xdsType.listener }).resources.values()].map(({ any }) => Listener.decode(any.value)).find(({ name }) => name === '1.2.3.4_90');
  return (listener?.filterChains ?? []).map((chain) => {
    const last = chain.filters.at(-1)?.configType;
    const config = last?.$case === 'typedConfig' ? TcpProxy.decode(last.value.value).tunnelingConfig : undefined;
    return config === undefined ? '' : `${config.usePost ? 'POST ' : ''}${config.hostname}`;
  });
}

const rule = (policy: string, subsets = '[]') => istio('DestinationRule', 'db', `{host: db.test, trafficPolicy: {${policy}}, subsets: ${subsets}}`);
const routed = (...destinations: string[]) => istio('VirtualService', 'db', `{hosts: [db.test], tcp: [{route: [${destinations.join(', ')}]}]}`);

test('tunnel: the destination\'s settings hold where no subset is named; CONNECT unless POST is asked for', () => {
  assert.deepEqual(tunnelsOf(rule(tunnel('a.test'))), ['a.test:443']);
  assert.deepEqual(tunnelsOf(rule(tunnel('"2001:db8::1"', ', protocol: POST'))), ['POST [2001:db8::1]:443']);
});

test('tunnel: a subset has its own or none', () => {
  const subsets = `[{name: own, trafficPolicy: {${tunnel('b.test')}}}, {name: bare}]`;
  assert.deepEqual(tunnelsOf(rule(tunnel('a.test'), subsets) + routed('{destination: {host: db.test, subset: own}}')), ['b.test:443']);
  assert.deepEqual(tunnelsOf(rule(tunnel('a.test'), subsets) + routed('{destination: {host: db.test, subset: bare}}')), ['']);
});

test('tunnel: weighted routes take the destination\'s, whatever their subsets say', () => {
  const subsets = `[{name: own, trafficPolicy: {${tunnel('b.test')}}}]`;
  assert.deepEqual(tunnelsOf(rule(tunnel('a.test'), subsets) + routed('{destination: {host: db.test, subset: own}, weight: 50}', '{destination: {host: db.test}, weight: 50}')), ['a.test:443']);
});
