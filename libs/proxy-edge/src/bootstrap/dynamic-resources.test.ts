import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { compileDynamicResources } from './dynamic-resources.ts';

const services = { grpcServices: [{ envoyGrpc: { clusterName: 'xds' } }] };
const dynamic = (dynamicResources: Record<string, unknown>) => compileDynamicResources(Bootstrap.decode(jsonToBinary('envoy.config.bootstrap.v3.Bootstrap', { dynamicResources })));

test('ads_config needs no transport version, as in Envoy\'s examples; other versions than V3 are refused', () => {
  const left = dynamic({ adsConfig: { apiType: 'GRPC', ...services }, ldsConfig: { ads: {} } });
  assert.ok(left.ok && left.value.ads !== null);
  const old = dynamic({ adsConfig: { apiType: 'GRPC', transportApiVersion: 'V2', ...services } });
  assert.deepEqual(old.ok ? [] : old.error.map(({ path }) => path), ['dynamic_resources.ads_config.transport_api_version']);
});
