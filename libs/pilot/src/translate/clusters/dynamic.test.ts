import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterConfig } from '@meltemi/api/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.ts';
import { HttpProtocolOptions } from '@meltemi/api/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts';
import { UpstreamTlsContext } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import type { MeshConfigSpec } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import { configsOf, meshOf, proxyOf } from '../../testing/mesh.test-support.ts';
import { assertProxyTakes } from '../../testing/proxy-takes.test-support.ts';
import { translate } from '../translate.ts';

const istio = (kind: string, name: string, spec: string) => `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
const wild = (ports: string) => istio('ServiceEntry', 'wild', `{hosts: ["*.wild.test"], location: MESH_EXTERNAL, resolution: DYNAMIC_DNS, ports: [${ports}]}`);
const http = '{number: 80, name: http, protocol: HTTP}';

/** Clusters by name, with what of them names and certificates depend on; all taken by our own proxy. */
function dynamicOf(yaml: string, mesh?: Partial<MeshConfigSpec>, address = '10.0.0.1') {
  const push = meshOf(configsOf(yaml), mesh);
  const proxy = proxyOf(`sidecar~${address}~client.default~default.svc.cluster.local`, { NAMESPACE: 'default' });
  assertProxyTakes(push, proxy);
  const clusters = [...translate(push, proxy, { typeUrl: xdsType.cluster }).resources.values()].map(({ any }) => Cluster.decode(any.value));
  return Object.fromEntries(clusters.flatMap((cluster) => {
    const type = cluster.clusterDiscoveryType;
    if (type?.$case !== 'clusterType' || type.value.typedConfig === undefined) return [];
    const config = ClusterConfig.decode(type.value.typedConfig.value);
    const cache = config.clusterImplementationSpecifier?.$case === 'dnsCacheConfig' ? config.clusterImplementationSpecifier.value : undefined;
    const [any] = Object.values(cluster.typedExtensionProtocolOptions);
    const options = any === undefined ? undefined : HttpProtocolOptions.decode(any.value);
    const socket = cluster.transportSocket?.configType;
    const tls = socket?.$case === 'typedConfig' ? UpstreamTlsContext.decode(socket.value.value) : undefined;
    const { autoSni = false, autoSanValidation = false } = options?.upstreamHttpProtocolOptions ?? {};
    return [[cluster.name, { cache: cache?.name, family: cache?.dnsLookupFamily, maxHosts: cache?.maxHosts, insecure: config.allowInsecureClusterOptions, autoSni, autoSanValidation, sni: tls?.sni, policy: cluster.lbPolicy }]];
  }));
}

const plain = { cache: '*.wild.test_dfp_dns_cache', family: 1, maxHosts: undefined, insecure: true, autoSni: false, autoSanValidation: false, sni: undefined, policy: 6 };

test('DYNAMIC_DNS: a cluster per port that looks names up, in one cache', () => {
  assert.deepEqual(dynamicOf(wild(`${http}, {number: 443, name: tls, protocol: TLS}`)), { 'outbound|80||*.wild.test': plain, 'outbound|443||*.wild.test': { ...plain, insecure: false } });
});

test('DYNAMIC_DNS: an IPv6 proxy looks up IPv6', () => {
  assert.equal(dynamicOf(wild(http), {}, '2001:db8::1')['outbound|80||*.wild.test']?.family, 2);
});

test('DYNAMIC_DNS: TLS asks for the name of the request and checks it; a rule may name one, or none', () => {
  const with_ = (tls: string) => dynamicOf(wild(http) + istio('DestinationRule', 'wild', `{host: "*.wild.test", trafficPolicy: {tls: {${tls}}}, subsets: [{name: v1, labels: {v: "1"}}]}`));
  const secured = { ...plain, insecure: false, autoSni: true, autoSanValidation: true, sni: '' };
  assert.deepEqual(with_('mode: SIMPLE'), { 'outbound|80||*.wild.test': secured });
  assert.deepEqual(with_('mode: SIMPLE, sni: one.test')['outbound|80||*.wild.test'], { ...secured, insecure: true, autoSni: false, sni: 'one.test' });
  assert.deepEqual(with_('mode: SIMPLE, insecureSkipVerify: true')['outbound|80||*.wild.test'], { ...secured, insecure: true, autoSanValidation: false });
});

test('ALLOW_ANY_DYNAMIC_DNS: one cluster for every unknown host, with TLS where the mesh wants it; gateways have none', () => {
  const name = 'AllowAnyDynamicDNSCluster';
  const any = { ...plain, cache: 'allow_any_dfp_dns_cache', maxHosts: 1024 };
  assert.deepEqual(dynamicOf('', { outboundTrafficPolicy: { mode: 'ALLOW_ANY_DYNAMIC_DNS' } }), { [name]: any });
  assert.deepEqual(dynamicOf('', { outboundTrafficPolicy: { mode: 'ALLOW_ANY' } }), {});
});
