import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestText, Served } from '../../../testing/served.ts';

const grpc = ['content-type', 'application/grpc'];

function call(fields: readonly string[]) {
  const served = new Served();
  served.connect().wire.receive(requestText('/echo.Echo/Say', [...fields, 'content-length: 0'], 'POST'));
  return { request: served.backend.requests[0], reports: served.backend.reports };
}

test('outlier detection hears what a gRPC status in the head means, as in Envoy', () => {
  for (const [status, means] of [['0', 200], ['14', 503], ['13', 500], ['5', 404], ['99', 500]] as const) {
    const { request, reports } = call(['content-type: application/grpc']);
    request?.respond(200, [...grpc, 'grpc-status', status], '');
    assert.deepEqual(reports, [means], `grpc-status ${status}`);
  }
});

test('a gRPC status in real trailers is not looked at, as in Envoy: the head counted', () => {
  const { request, reports } = call(['content-type: application/grpc']);
  request?.begin(200, grpc);
  request?.part('x');
  request?.end(['grpc-status', '14']);
  assert.deepEqual(reports, [200]);
});

test('without gRPC its fields mean nothing', () => {
  const { request, reports } = call(['content-type: application/json']);
  request?.respond(502, ['grpc-status', '0'], '');
  assert.deepEqual(reports, [502]);
});
