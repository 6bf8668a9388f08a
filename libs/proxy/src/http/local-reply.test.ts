import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestText, Served } from '../testing/served.ts';

const noRoutes = [{ match: { prefix: '/never' }, route: { cluster: 'app' } }];
const grpc = ['content-type: application/grpc'];

/** What a client gets for a path that leads nowhere. */
function refused(localReplyConfig: Record<string, unknown>, fields: readonly string[] = [], routes: readonly Record<string, unknown>[] = noRoutes): string {
  const { wire } = new Served({ routes, hcm: { localReplyConfig } }).connect();
  wire.receive(requestText('/nowhere', fields));
  return wire.sent;
}

const notFound = { filter: { statusCodeFilter: { comparison: { op: 'EQ', value: { defaultValue: 404, runtimeKey: 'x' } } } } };

test('gRPC clients are told what the formats make of an answer, and the fields that are added', () => {
  const sent = refused({ mappers: [{ ...notFound, statusCode: 503, headersToAdd: [{ header: { key: 'x-why', value: '%RESPONSE_CODE%' } }] }], bodyFormat: { textFormatSource: { inlineString: 'nothing at %REQ(:PATH)% é' } } }, grpc);
  assert.match(sent, /^HTTP\/1\.1 200 OK\r\n/);
  for (const field of ['x-why: 404', 'grpc-status: 14', 'grpc-message: nothing at /nowhere %C3%A9', 'content-type: application/grpc', 'content-length: 0']) assert.ok(sent.includes(`\r\n${field}\r\n`), `${field} in ${sent}`);
  const own = refused({ mappers: [{ ...notFound, headersToAdd: [{ header: { key: 'grpc-status', value: '5' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }] }] }, grpc);
  assert.match(own, /grpc-status: 5\r\n/);
  assert.equal(own.match(/grpc-status/g)?.length, 1);
  // There is nothing to tell.
  assert.doesNotMatch(own, /grpc-message/);
});

test('a body that was made anew has its own type, unless the type is made anew too', () => {
  const routes = [{ match: { prefix: '/' }, directResponse: { status: 404, body: { inlineString: '<p>' } }, responseHeadersToAdd: [{ header: { key: 'content-type', value: 'text/html' } }] }];
  const bodyFormat = { jsonFormat: { said: '%LOCAL_REPLY_BODY%' } };
  assert.match(refused({}, [], routes), /\r\ncontent-type: text\/html\r\n[\s\S]*\r\n\r\n<p>$/);
  assert.match(refused({ bodyFormat }, [], routes), /\r\ncontent-type: application\/json\r\n[\s\S]*\r\n\r\n\{"said":"<p>"\}$/);
  const typed = { mappers: [{ ...notFound, headersToAdd: [{ header: { key: 'content-type', value: 'application/problem+json' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }] }], bodyFormat };
  assert.match(refused(typed, [], routes), /\r\ncontent-type: application\/problem\+json\r\n/);
});

test('a format repeats a field in UTF-8 as the text it is', () => {
  const sent = refused({ bodyFormat: { textFormatSource: { inlineString: 'é %REQ(X-USER)%' } } }, [`x-user: ${Buffer.from('José').toString('latin1')}`]);
  assert.equal(Buffer.from(sent.split('\r\n\r\n')[1] ?? '', 'latin1').toString(), 'é José');
});
