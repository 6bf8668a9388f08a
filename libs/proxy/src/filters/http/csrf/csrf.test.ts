import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;

function world(config: Json = {}) {
  const served = new Served({ filters: [filterJson('envoy.filters.http.csrf', 'envoy.extensions.filters.http.csrf.v3.CsrfPolicy', { filterEnabled: { defaultValue: { numerator: 100 } }, ...config })] });
  const { wire } = served.connect();
  const status = (fields: readonly string[], method = 'POST') => {
    const before = wire.sent.length;
    wire.receive(requestText('/', fields, method));
    served.backend.requests.splice(0)[0]?.respond();
    return Number(/^HTTP\/1\.1 (\d+)/.exec(wire.sent.slice(before))?.[1]);
  };
  const counted = (name: string) => served.stats.entries().find((entry) => entry.name === `http.test.csrf.${name}`)?.value;
  return { status, counted, wire };
}

test('what changes something must come from the origin that is asked', () => {
  const { status, counted, wire } = world();
  assert.equal(status(['origin: http://reviews:9080']), 200);
  assert.equal(status(['origin: http://evil.example'], 'DELETE'), 403);
  assert.match(wire.sent, /Invalid origin$/);
  assert.deepEqual([counted('request_valid'), counted('request_invalid'), counted('missing_source_origin')], [1, 1, 0]);
});

test('without an origin the referer tells it; with neither the request is refused', () => {
  const { status, counted } = world();
  assert.equal(status(['referer: https://reviews:9080/page?a=1']), 200);
  assert.equal(status(['origin: null', 'referer: http://reviews:9080']), 200);
  assert.equal(status(['referer: https://evil.example/reviews:9080']), 403);
  assert.equal(status([], 'PUT'), 403);
  assert.equal(counted('missing_source_origin'), 1);
});

test('what only reads is not looked at', () => {
  const { status } = world();
  for (const method of ['GET', 'OPTIONS']) assert.equal(status(['origin: http://evil.example'], method), 200);
});

test('additional origins may change something too', () => {
  const { status } = world({ additionalOrigins: [{ suffix: '.example' }] });
  assert.equal(status(['origin: https://shop.example'], 'PATCH'), 200);
  assert.equal(status(['origin: https://shop.example.org'], 'PATCH'), 403);
});

test('a shadow policy only counts', () => {
  const { status, counted } = world({ filterEnabled: { defaultValue: { numerator: 0 } }, shadowEnabled: { defaultValue: { numerator: 100 } } });
  assert.equal(status(['origin: http://evil.example']), 200);
  assert.equal(counted('request_invalid'), 1);
});
