import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshNode } from './node-metadata.ts';

test('metadata comes from proxyMetadata of the ProxyConfig, and from the environment, which counts more', () => {
  const proxyConfig = JSON.stringify({ proxyMetadata: { ISTIO_META_DNS_CAPTURE: 'true', ISTIO_META_NETWORK: 'a', OTHER: 'x' } });
  const node = meshNode({ serviceNode: 'sidecar~10.0.0.1~a-0.default~default.svc.cluster.local', serviceCluster: '', serviceZone: '', env: { ISTIO_METAJSON_PROXY_CONFIG: proxyConfig, ISTIO_META_NETWORK: 'b' }, version: '1' });
  assert.ok(node.ok);
  const metadata = (node.value.metadata ?? {}) as Readonly<Record<string, unknown>>;
  assert.deepEqual([metadata['DNS_CAPTURE'], metadata['NETWORK'], metadata['OTHER'], metadata['NAMESPACE']], ['true', 'b', undefined, 'default']);
});
