import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';

test('a shadow policy only looks at origins and counts them', () => {
  const policy = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy', allowOriginStringMatch: [{ exact: 'https://shop' }], filterEnabled: { defaultValue: { numerator: 0 } }, shadowEnabled: { defaultValue: { numerator: 100 } } };
  const world = new Served({ filters: [filterJson('envoy.filters.http.cors', 'envoy.extensions.filters.http.cors.v3.Cors')], routes: [routeToApp({ typedPerFilterConfig: { 'envoy.filters.http.cors': policy } })] });
  const { wire } = world.connect();
  wire.receive(requestText('/', ['origin: https://shop', 'access-control-request-method: GET'], 'OPTIONS'));
  world.backend.requests[0]?.respond();
  assert.doesNotMatch(wire.sent, /access-control/);
  assert.equal(world.backend.requests.length, 1);
  assert.equal(world.stats.entries().find(({ name }) => name === 'http.test.cors.origin_valid')?.value, 1);
});
