import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import fc from 'fast-check';
import { create } from '../translate/message.ts';
import { bindAddress, proxyFromNode } from './proxy.ts';

const read = (id: string, metadata?: Record<string, unknown>) => proxyFromNode(create(Node, { id, ...(metadata ? { metadata } : {}) }));

test('reads Istio\'s node id and metadata', () => {
  const proxy = read('sidecar~10.0.0.1~a-1.shop~shop.svc.cluster.local', { LABELS: { app: 'a' }, INSTANCE_IPS: '10.0.0.1,fd00::1', ISTIO_VERSION: '1.30' });
  assert.ok(proxy.ok);
  assert.deepEqual(proxy.value.addresses, ['10.0.0.1', 'fd00::1']);
  assert.equal(proxy.value.namespace, 'shop');
  assert.equal(proxy.value.istioFilters, true);
  assert.equal(proxy.value.interception, 'REDIRECT');
});

test('a plain Envoy is not given Istio\'s filters', () => {
  const proxy = read('sidecar~10.0.0.1~a.b~b.svc.cluster.local');
  assert.equal(proxy.ok && proxy.value.istioFilters, false);
});

test('says what is wrong with an id', () => {
  const broken = read('envoy-1');
  assert.ok(!broken.ok);
  assert.match(broken.error[0]?.message ?? '', /type~IP~name.namespace~domain/);
  const unknown = read('ztunnel~10.0.0.1~a.b~b.svc.cluster.local');
  assert.match(!unknown.ok ? (unknown.error[0]?.message ?? '') : '', /sidecar or router/);
});

test('on a shared machine wildcards and 127.0.0.1 are bound on the proxy\'s own address', () => {
  const proxy = read('router~127.0.1.9~gw.istio-system~istio-system.svc.cluster.local');
  assert.ok(proxy.ok);
  assert.equal(bindAddress(proxy.value, '0.0.0.0'), '127.0.1.9');
  assert.equal(bindAddress(proxy.value, '127.0.0.1'), '127.0.1.9');
  assert.equal(bindAddress(proxy.value, '127.0.5.5'), '127.0.5.5');
});

test('never throws, whatever a node says', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.array(fc.string(), { minLength: 4, maxLength: 4 }).map((parts) => parts.join('~'))), fc.dictionary(fc.constantFrom('LABELS', 'GENERATOR', 'NAMESPACE', 'INSTANCE_IPS'), fc.jsonValue()), (id, metadata) => {
    read(id, metadata);
  }));
});
