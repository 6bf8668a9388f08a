import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok } from '@meltemi/base';
import type { HeaderMap } from '@meltemi/http';
import { DataStatus, FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../filter.ts';
import { requestText, Served } from '../testing/served.ts';

const all = FilterEvents.decodeHead | FilterEvents.decodeData | FilterEvents.decodeEnd | FilterEvents.encodeHead | FilterEvents.encodeData | FilterEvents.encodeEnd;

function factory(name: string, create: (stream: StreamControls) => HttpStreamFilter): HttpFilterFactory {
  return { name, typeUrls: [`test/${name}`], stage: 'traffic', trust: 'trusted-config-only', parse: () => ok(null), bind: () => ({ events: all, create }) };
}

/** Gathers the request's body and goes on when it is complete. */
class Gather extends HttpStreamFilter {
  seen = '';
  override decodeHead(): number {
    return FilterStatus.stopAndBuffer;
  }
  override decodeEnd(stream: StreamControls): void {
    this.seen = (stream.heldRequest?.parts ?? []).map((part) => part.toString()).join('');
    stream.clock.after(5, () => stream.continueRequest());
  }
}

/** Upper-cases bodies both ways and ends the response with a word of its own. */
class Shout extends HttpStreamFilter {
  override decodeData(stream: StreamControls, buffer: Buffer, start: number, end: number): number {
    const loud = Buffer.from(buffer.toString('latin1', start, end).toUpperCase());
    stream.injectRequestData(this, loud, 0, loud.length);
    return DataStatus.taken;
  }
  override encodeHead(_stream: StreamControls, head: { headers: HeaderMap }): number {
    head.headers.remove('content-length');
    return FilterStatus.continue;
  }
  override encodeData(stream: StreamControls, buffer: Buffer, start: number, end: number): number {
    const loud = Buffer.from(buffer.toString('latin1', start, end).toUpperCase());
    stream.injectResponseData(this, loud, 0, loud.length);
    return DataStatus.taken;
  }
  override encodeEnd(stream: StreamControls): number {
    stream.injectResponseData(this, Buffer.from('!'), 0, 1);
    stream.injectResponseEnd(this, null);
    return DataStatus.taken;
  }
}

test('a filter gathers the whole body before the request goes on, and those behind it see every byte once', () => {
  const gather = new Gather();
  const served = new Served({ own: [factory('gather', () => gather), factory('shout', () => new Shout())] });
  const { wire } = served.connect();
  wire.receive(`${requestText('/', ['content-length: 10'], 'POST')}hello`);
  assert.equal(served.backend.requests.length, 0);
  wire.receive('world');
  assert.equal(gather.seen, 'helloworld');
  served.clock.advance(5);
  assert.equal(served.backend.requests[0]?.body, 'HELLOWORLD');
});

test('what filters in front of the gathering one make of the body is what it gathers', () => {
  const gather = new Gather();
  const served = new Served({ own: [factory('shout', () => new Shout()), factory('gather', () => gather)] });
  const { wire } = served.connect();
  wire.receive(`${requestText('/', ['content-length: 4'], 'POST')}abcd`);
  served.clock.advance(5);
  assert.equal(gather.seen, 'ABCD');
  assert.equal(served.backend.requests[0]?.body, 'ABCD');
});

test('a body beyond the limit is refused with 413 while it is gathered', () => {
  const served = new Served({ own: [factory('gather', () => new Gather())] });
  const { wire } = served.connect();
  wire.receive(`${requestText('/', ['content-length: 2000'], 'POST')}${'x'.repeat(1001)}`);
  assert.match(wire.sent, /^HTTP\/1.1 413 /);
  assert.equal(served.backend.requests.length, 0);
});

test('a filter rewrites the response and ends it with more', () => {
  const served = new Served({ own: [factory('shout', () => new Shout())] });
  const { wire } = served.connect();
  wire.receive(requestText());
  served.backend.requests[0]?.respond(200, ['content-length', '5'], 'hello');
  assert.match(wire.sent, /\r\n\r\n5\r\nHELLO\r\n1\r\n!\r\n0\r\n\r\n$/);
});

test('a held response can be replaced by an answer of the filter', () => {
  class Refuse extends HttpStreamFilter {
    override encodeHead(stream: StreamControls): number {
      stream.clock.after(1, () => stream.sendLocalReply({ status: 403, body: 'no', details: 'refused' }));
      return FilterStatus.stopIteration;
    }
  }
  const served = new Served({ own: [factory('refuse', () => new Refuse())] });
  const { wire } = served.connect();
  wire.receive(requestText());
  served.backend.requests[0]?.respond(200, ['content-length', '5'], 'hello');
  assert.equal(wire.sent, '');
  served.clock.advance(1);
  assert.match(wire.sent, /^HTTP\/1.1 403 [\s\S]*\r\n\r\nno$/);
  assert.equal(served.done[0]?.responseCode, 403);
});

test('a response too large to gather is answered with 500', () => {
  class GatherResponse extends HttpStreamFilter {
    override encodeHead(): number {
      return FilterStatus.stopAndBuffer;
    }
  }
  const served = new Served({ own: [factory('gather', () => new GatherResponse())] });
  const { wire } = served.connect();
  wire.receive(requestText());
  served.backend.requests[0]?.respond(200, ['content-length', '5000'], 'x'.repeat(1001));
  assert.match(wire.sent, /^HTTP\/1.1 500 /);
});

test('a filter holds the client back without stopping the head', () => {
  let controls: StreamControls | null = null;
  class Hold extends HttpStreamFilter {
    override decodeHead(stream: StreamControls): number {
      controls = stream;
      stream.holdRequestBody();
      return FilterStatus.continue;
    }
  }
  const served = new Served({ own: [factory('hold', () => new Hold())] });
  const { wire } = served.connect();
  wire.receive(requestText('/', ['content-length: 4'], 'POST'));
  assert.equal(wire.paused, true);
  (controls as StreamControls | null)?.releaseRequestBody();
  assert.equal(wire.paused, false);
});
