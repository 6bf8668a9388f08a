import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import type { MeshConfigSpec } from '@meltemi/config';
import { bookinfo, configsOf, ingressGateway, jsonOf, meshOf, productpage } from '../../testing/mesh.test-support.ts';
import { translate } from '../translate.ts';
import { countedMetrics } from '../telemetry/metrics.ts';

const als = { service: 'telemetry.istio-system.svc.cluster.local', port: 15030, logName: '', filterStateObjectsToLog: [], additionalRequestHeadersToLog: [], additionalResponseHeadersToLog: [], additionalResponseTrailersToLog: [] };

function meshWith(metrics: readonly string[], extensionProviders: MeshConfigSpec['extensionProviders'] = []) {
  return { defaultProviders: { metrics, tracing: [], accessLogging: [] }, extensionProviders };
}

const proxiesCount = (mesh: ReturnType<typeof meshWith>) => countedMetrics(mesh, []) !== undefined;

test('proxies count unless the metrics providers are named and none is Prometheus', () => {
  const telemetry = { name: 'telemetry', envoyHttpAls: als };
  assert.equal(proxiesCount(meshWith([])), true);
  assert.equal(proxiesCount(meshWith(['prometheus'])), true);
  assert.equal(proxiesCount(meshWith(['scraped'], [{ name: 'scraped', prometheus: {} }])), true);
  assert.equal(proxiesCount(meshWith(['telemetry', 'prometheus'], [telemetry])), true);
  assert.equal(proxiesCount(meshWith(['telemetry'], [telemetry])), false);
  assert.equal(proxiesCount(meshWith(['prometheus'], [{ name: 'prometheus', envoyHttpAls: als }])), false);
});

/** Every stats filter of every listener of a proxy, HTTP and TCP. */
function statsFilters(value: unknown): Record<string, unknown>[] {
  if (Array.isArray(value)) return value.flatMap(statsFilters);
  if (typeof value !== 'object' || value === null) return [];
  const record = value as Record<string, unknown>;
  return record['name'] === 'istio.stats' ? [record['typed_config'] as Record<string, unknown>] : Object.values(record).flatMap(statsFilters);
}

const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
`;

test('when telemetry owns the metrics, no filter of sidecars or gateways counts, and each is still there to tell access logs who talked', () => {
  for (const [metrics, dropped] of [[[], false], [['telemetry'], true]] as const) {
    const push = meshOf([...bookinfo(), ...configsOf(gateway)], meshWith(metrics, [{ name: 'telemetry', envoyHttpAls: als }]));
    for (const proxy of [productpage(), ingressGateway()]) {
      const filters = statsFilters(jsonOf(translate(push, proxy, { typeUrl: xdsType.listener })));
      assert.ok(filters.length > 0);
      for (const filter of filters) assert.deepEqual(filter['metrics'], dropped ? [{ drop: true }] : undefined);
    }
  }
});
