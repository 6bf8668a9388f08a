import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { filterJson, requestText, Served } from '../../../testing/served.ts';
import { FrameCounter } from './frame-counter.ts';

const message = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);

function counts(config: Record<string, unknown>, path = '/shop.v1.Cart/Add', status = '0') {
  const world = new Served({ filters: [filterJson('envoy.filters.http.grpc_stats', 'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig', config)] });
  const { wire } = world.connect();
  const body = Buffer.concat([message('a'), message('bb')]);
  wire.receive(`${requestText(path, ['content-type: application/grpc', `content-length: ${body.length}`], 'POST')}${body.toString('latin1')}`);
  world.backend.requests[0]?.begin(200, ['content-type', 'application/grpc']);
  world.backend.requests[0]?.part(message('answer'));
  world.backend.requests[0]?.end(['grpc-status', status]);
  return world.stats.entries({ filter: /\.grpc\./, usedOnly: true }).map(({ name, value }) => `${name.replace('cluster.app.grpc.', '')}=${value}`);
}

test('requests, messages and statuses are counted by cluster', () => {
  assert.deepEqual(counts({}), ['0=1', 'request_message_count=2', 'response_message_count=1', 'success=1', 'total=1']);
  assert.deepEqual(counts({}, '/a/b', '5'), ['5=1', 'failure=1', 'request_message_count=2', 'response_message_count=1', 'total=1']);
});

test('methods have counters of their own where asked', () => {
  assert.ok(counts({ statsForAllMethods: true }).includes('shop.v1.Cart.Add.success=1'));
  assert.ok(counts({ statsForAllMethods: true, replaceDotsInGrpcServiceName: true }).includes('shop_v1_Cart.Add.success=1'));
  const listed = { individualMethodStatsAllowlist: { services: [{ name: 'shop.v1.Cart', methodNames: ['Add'] }] } };
  assert.ok(counts(listed).includes('shop.v1.Cart.Add.success=1'));
  assert.ok(counts(listed, '/shop.v1.Cart/Remove').includes('success=1'));
});

test('messages are counted wherever their parts are cut', () => {
  fc.assert(fc.property(fc.array(fc.string({ maxLength: 100 })), fc.integer({ min: 1, max: 40 }), (texts, step) => {
    const body = Buffer.concat(texts.map((text) => message(text.replaceAll(/[^\x20-\x7e]/g, ''))));
    const counter = new FrameCounter();
    let found = 0;
    for (let at = 0; at < body.length; at += step) found += counter.count(body, at, Math.min(body.length, at + step));
    assert.equal(found, texts.length);
  }));
});
