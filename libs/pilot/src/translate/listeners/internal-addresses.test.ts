import assert from 'node:assert/strict';
import { test } from 'node:test';
import { binaryToJson, typeNameOf } from '@meltemi/api';
import { xdsType } from '@meltemi/xds';
import { featuresFrom, type Features } from '../../features.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import { bookinfo, configsOf, ingressGateway, meshOf, productpage, sample } from '../../testing/mesh.test-support.ts';
import { assertProxyTakes } from '../../testing/proxy-takes.test-support.ts';
import { translate } from '../translate.ts';

const networks = (ranges: string[]) => configsOf(`apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  meshNetworks: |\n    networks:\n      one: {endpoints: [{fromRegistry: Kubernetes}, ${ranges.map((range) => `{fromCidr: ${range}}`).join(', ')}]}\n      two: {endpoints: [{fromCidr: 10.9.0.0/16}]}\n`);
const base = [...bookinfo(), ...sample('bookinfo/networking/bookinfo-gateway.yaml')];
const mesh = (ranges: string[], options: { readonly features?: Features; readonly previous?: PushContext } = {}) => meshOf([...base, ...networks(ranges)], {}, options.previous, options.features);

/** internal_address_config of every connection manager of a proxy: its ranges, or undefined. */
function internalAt(push: PushContext, proxy: Proxy): (string | undefined)[] {
  assertProxyTakes(push, proxy);
  const found: (string | undefined)[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const message = value as { readonly '@type'?: string; readonly internal_address_config?: { readonly cidr_ranges: readonly { address_prefix: string; prefix_len: number }[] } };
    if (message['@type']?.endsWith('HttpConnectionManager')) found.push(message.internal_address_config?.cidr_ranges.map((range) => `${range.address_prefix}/${range.prefix_len}`).join());
    for (const inner of Object.values(value)) visit(inner);
  };
  for (const { any } of translate(push, proxy, { typeUrl: xdsType.listener }).resources.values()) visit(binaryToJson(typeNameOf(any.typeUrl), any.value));
  assert.ok(found.length > 0);
  return [...new Set(found)];
}

test('ranges of MeshNetworks are internal addresses where the client\'s address is taken for the origin: at gateways', () => {
  const push = mesh(['172.16.0.0/12', 'fd00::/8']);
  assert.deepEqual(internalAt(push, ingressGateway()), ['10.9.0.0/16,172.16.0.0/12,fd00::/8']);
  assert.deepEqual(internalAt(push, productpage()), [undefined]);
  assert.deepEqual(internalAt(meshOf(base), ingressGateway()), [undefined]);
});

test('with Istio\'s switch they are everywhere', () => {
  const push = mesh(['172.16.0.0/12'], { features: featuresFrom({ ENABLE_HCM_INTERNAL_NETWORKS: 'true' }) });
  for (const proxy of [ingressGateway(), productpage()]) assert.deepEqual(internalAt(push, proxy), ['10.9.0.0/16,172.16.0.0/12']);
});

test('other ranges, and nothing else, make other listeners', () => {
  const before = mesh(['172.16.0.0/12']);
  internalAt(before, ingressGateway());
  const after = mesh(['192.168.0.0/16'], { previous: before });
  assert.deepEqual(internalAt(after, ingressGateway()), ['10.9.0.0/16,192.168.0.0/16']);
});
