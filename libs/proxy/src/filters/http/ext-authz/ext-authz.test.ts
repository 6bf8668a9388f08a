import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonToBinary } from '@meltemi/api';
import { CheckRequest } from '@meltemi/api/gen/envoy/service/auth/v3/external_auth.ts';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';
import { filterExtensions } from '../../registry.ts';
import { extAuthzFilter } from './ext-authz.ts';
import { decodeVerdict } from './grpc-verdict.ts';
import { validVerdict } from './mutations.ts';

type Json = Record<string, unknown>;
const typeName = 'envoy.extensions.filters.http.ext_authz.v3.ExtAuthz';
// The one cluster of a Served is the service, too: the first request it gets is the question.
const http = (more: Json = {}, service: Json = {}): Json => ({ httpService: { serverUri: { uri: 'http://authz', cluster: 'app' }, ...service }, ...more });
const grpc = (more: Json = {}): Json => ({ grpcService: { envoyGrpc: { clusterName: 'app' } }, transportApiVersion: 'V3', ...more });

function asked(config: Json, text: string, route: Json = {}) {
  const served = new Served({ filters: [filterJson('envoy.filters.http.ext_authz', typeName, config)], routes: [routeToApp({ metadata: { filterMetadata: { team: { name: 'shop' } } }, ...route })] });
  const { wire } = served.connect();
  wire.receive(text);
  const question = () => served.backend.requests[0] ?? assert.fail('nothing was asked');
  const count = (name: string) => served.stats.counter(`http.test.ext_authz.${name}`).value;
  return { served, wire, question, count, passed: () => served.backend.requests[1], info: () => served.done[0], status: () => Number(/^HTTP\/1.1 (\d+)/.exec(wire.sent)?.[1] ?? 0) };
}

function answerGrpc(world: ReturnType<typeof asked>, response: Json, status = '0'): void {
  const bytes = Buffer.from(jsonToBinary('envoy.service.auth.v3.CheckResponse', response));
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(bytes.length, 1);
  world.question().begin(200, ['content-type', 'application/grpc']);
  world.question().part(Buffer.concat([frame, bytes]));
  world.question().end(['grpc-status', status]);
}

const checkOf = (world: ReturnType<typeof asked>) => CheckRequest.decode(Buffer.from(world.question().body, 'latin1').subarray(5)).attributes;

test('an HTTP service is asked with method, path and host of the request and the fields it is allowed to see', () => {
  const config = http({ disallowedHeaders: { patterns: [{ exact: 'x-secret' }] } }, { pathPrefix: '/check', authorizationRequest: { allowedHeaders: { patterns: [{ prefix: 'x-' }] }, headersToAdd: [{ key: 'x-from', value: '%REQ(:METHOD)%' }] } });
  const { question, passed, served } = asked(config, requestText('/cart?id=1', ['authorization: Bearer t', 'x-user: ann', 'x-secret: s', 'x-from: forged', 'cookie: c'], 'PUT'));
  const { head } = question();
  assert.deepEqual([head.method, head.path, head.authority], ['PUT', '/check/cart?id=1', 'reviews:9080']);
  assert.deepEqual(['authorization', 'x-user', 'x-from', 'x-secret', 'cookie', 'content-length'].map((name) => head.headers.getAll(name)), ['Bearer t', 'ann', 'PUT', null, null, '0']);
  assert.equal(passed(), undefined);
  question().respond(200);
  assert.equal(served.backend.requests.length, 2);
});

test('what an HTTP service says on allowing reaches the upstream and the client as far as its lists say', () => {
  const lists = { allowedUpstreamHeaders: { patterns: [{ exact: 'x-user' }, { exact: 'content-length' }] }, allowedUpstreamHeadersToAppend: { patterns: [{ exact: 'x-group' }] }, allowedClientHeadersOnSuccess: { patterns: [{ exact: 'x-seen' }] }, dynamicMetadataFromHeaders: { patterns: [{ prefix: 'x-meta' }] } };
  const world = asked(http({}, { authorizationResponse: lists }), requestText('/', ['x-user: forged', 'x-group: a', 'x-internal: 1']));
  world.question().respond(200, ['x-user', 'ann', 'x-group', 'b', 'x-seen', 'yes', 'x-other', 'z', 'x-meta-a', 'm', 'content-length', '2', 'x-envoy-auth-headers-to-remove', 'x-internal, host']);
  const headers = world.passed()?.head.headers;
  assert.deepEqual(['x-user', 'x-group', 'x-other', 'content-length', 'x-internal'].map((name) => headers?.getAll(name) ?? null), ['ann', 'a,b', null, null, null]);
  world.passed()?.respond(200);
  assert.match(world.wire.sent, /^HTTP\/1.1 200 [\s\S]*x-seen: yes/);
  assert.deepEqual(world.info()?.dynamicMetadata?.['envoy.filters.http.ext_authz'], { 'x-meta-a': 'm', ext_authz_duration: 0 });
  assert.deepEqual([world.count('ok'), world.served.stats.counter('cluster.app.ext_authz.ok').value], [1, 1]);
});

test('a denial is the service\'s answer: status, body and the fields clients may see', () => {
  const world = asked(http({}, { authorizationResponse: { allowedClientHeaders: { patterns: [{ exact: 'x-why' }] } } }), requestText());
  world.question().respond(401, ['x-why', 'no token', 'x-secret', 's', 'www-authenticate', 'Bearer', 'transfer-encoding', 'chunked', 'content-type', 'text/html'], '<p>who?');
  assert.match(world.wire.sent, /^HTTP\/1.1 401 [\s\S]*x-why: no token\r\n[\s\S]*\r\n\r\n<p>who\?$/);
  assert.match(world.wire.sent, /www-authenticate: Bearer\r\n/);
  assert.doesNotMatch(world.wire.sent, /x-secret|chunked/);
  assert.deepEqual([world.info()?.responseCodeDetails, world.count('denied'), world.passed()], ['ext_authz_denied', 1, undefined]);
});

test('a service that fails denies, or allows where asked so', () => {
  const failures: ((world: ReturnType<typeof asked>) => void)[] = [({ question }) => question().respond(503), ({ question }) => question().break(), ({ served }) => served.clock.advance(200)];
  for (const fail of failures) {
    const closed = asked(http({ statusOnError: { code: 'ServiceUnavailable' } }), requestText());
    fail(closed);
    assert.deepEqual([closed.status(), closed.info()?.responseCodeDetails, closed.count('error')], [503, 'ext_authz_error', 1]);
    const open = asked(http({ failureModeAllow: true, failureModeAllowHeaderAdd: true }), requestText());
    fail(open);
    assert.equal(open.passed()?.head.headers.get('x-envoy-auth-failure-mode-allowed'), 'true');
    assert.equal(open.count('failure_mode_allowed'), 1);
  }
  const grpcDown = asked(grpc(), requestText());
  answerGrpc(grpcDown, {}, '14');
  assert.deepEqual([grpcDown.status(), grpcDown.question().head.headers.get('grpc-timeout')], [403, '200m']);
});

test('a client that leaves before the answer is forgotten', () => {
  const world = asked(http(), requestText());
  world.wire.destroy();
  assert.equal(world.question().wasReset, true);
  assert.equal(world.passed(), undefined);
});

test('a gRPC service is told what Envoy tells', () => {
  const config = grpc({ metadataContextNamespaces: ['none'], routeMetadataContextNamespaces: ['team'], allowedHeaders: { patterns: [{ prefix: ':' }, { prefix: 'x-' }] } });
  const world = asked(config, requestText('/cart?id=1', ['x-user: ann', 'x-user: bob', 'cookie: c', 'x-utf: caf\xc3\xa9', 'x-broken: \xff', 'x-envoy-auth-partial-body: true']));
  assert.deepEqual([world.question().head.path, world.question().head.authority], ['/envoy.service.auth.v3.Authorization/Check', 'app']);
  const attributes = checkOf(world);
  const seen = attributes?.request?.http;
  assert.deepEqual([seen?.method, seen?.path, seen?.host, seen?.scheme, seen?.protocol, seen?.query, seen?.body], ['GET', '/cart?id=1', 'reviews:9080', 'http', 'HTTP/1.1', '', '']);
  assert.deepEqual(Object.entries(seen?.headers ?? {}).filter(([name]) => !name.startsWith('x-forwarded') && name !== 'x-request-id'), [[':authority', 'reviews:9080'], [':method', 'GET'], [':path', '/cart?id=1'], [':scheme', 'http'], ['x-user', 'ann,bob'], ['x-utf', 'café'], ['x-broken', '\ufffd']]);
  assert.deepEqual(attributes?.source?.address?.address, { $case: 'socketAddress', value: { protocol: 0, address: '10.0.0.5', portSpecifier: { $case: 'portValue', value: 41000 }, resolverName: '', ipv4Compat: false } });
  assert.equal(attributes?.request?.time?.seconds, 1n);
  assert.deepEqual(attributes?.routeMetadataContext?.filterMetadata, { team: { name: 'shop' } });
});

test('context of all levels is sent, the nearest winning; a route switches it off', () => {
  const type = 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute';
  const settings = (value: Json) => ({ typedPerFilterConfig: { 'envoy.filters.http.ext_authz': { '@type': type, ...value } } });
  const world = asked(grpc(), requestText(), settings({ checkSettings: { contextExtensions: { who: 'route', a: '1' } } }));
  assert.deepEqual(checkOf(world)?.contextExtensions, { who: 'route', a: '1' });
  assert.equal(asked(grpc(), requestText(), settings({ disabled: true })).question().head.path, '/');
});

test('what a gRPC service says on allowing changes request and response', () => {
  const world = asked(grpc({ clearRouteCache: true }), requestText('/cart?id=1&drop=2', ['x-user: forged', 'x-list: a', 'x-gone: 1', 'x-kept: 1']));
  answerGrpc(world, {
    okResponse: {
      headers: [{ header: { key: 'X-User', value: 'ann' } }, { header: { key: 'x-list', value: 'b' }, append: true }, { header: { key: 'x-kept', value: '2' }, appendAction: 'ADD_IF_ABSENT' }, { header: { key: 'x-absent', value: '2' }, appendAction: 'OVERWRITE_IF_EXISTS' }, { header: { key: 'x-bad', value: 'a\r\nb: c' } }, { header: { key: 'Host', value: 'other' } }, { header: { key: 'transfer-encoding', value: 'chunked' } }],
      headersToRemove: ['X-Gone', ':path', 'host'], queryParametersToSet: [{ key: 'new', value: '3' }], queryParametersToRemove: ['drop'],
      responseHeadersToAdd: [{ header: { key: 'set-cookie', value: 'a=b' } }],
    },
    dynamicMetadata: { tier: 'gold' },
  });
  const head = world.passed()?.head;
  assert.deepEqual(['x-user', 'x-list', 'x-kept', 'x-absent', 'x-bad', 'x-gone', 'transfer-encoding'].map((name) => head?.headers.getAll(name)), ['ann', 'a,b', '1', null, null, null, null]);
  assert.deepEqual([head?.path, head?.authority], ['/cart?id=1&new=3', 'other']);
  world.passed()?.respond(200, ['set-cookie', 'own=1']);
  assert.match(world.wire.sent, /set-cookie: own=1\r\n[\s\S]*set-cookie: a=b\r\n/);
  assert.equal(world.info()?.dynamicMetadata?.['envoy.filters.http.ext_authz']?.['tier'], 'gold');
});

test('a gRPC denial has its status, 403 when none, and its fields', () => {
  const plain = asked(grpc(), requestText());
  answerGrpc(plain, { status: { code: 7 } });
  assert.equal(plain.status(), 403);
  const full = asked(grpc(), requestText());
  answerGrpc(full, { status: { code: 16 }, deniedResponse: { status: { code: 'Found' }, headers: [{ header: { key: 'Location', value: '/login' } }, { header: { key: 'set-cookie', value: 'a' } }, { header: { key: 'set-cookie', value: 'b' } }], body: 'log in' } });
  assert.match(full.wire.sent, /^HTTP\/1.1 302 [\s\S]*location: \/login\r\nset-cookie: a\r\nset-cookie: b\r\n[\s\S]*\r\n\r\nlog in$/);
});

test('changes that cannot be written are left out, or refused with 500 where they are validated', () => {
  const world = asked(grpc({ validateMutations: true }), requestText());
  answerGrpc(world, { okResponse: { headers: [{ header: { key: 'x-bad', value: 'a\r\nb: c' } }] } });
  assert.deepEqual([world.status(), world.count('invalid'), world.info()?.responseCodeDetails], [500, 1, 'ext_authz_invalid']);
});

const post = (length: number, body: string) => `${requestText('/', [`content-length: ${length}`], 'POST')}${body}`;

test('the body is shown whole, and goes on after the answer', () => {
  const world = asked(http({ withRequestBody: { maxRequestBytes: 10 } }), post(8, 'some'));
  assert.equal(world.served.backend.requests.length, 0);
  world.wire.receive('body');
  assert.deepEqual([world.question().body, world.question().head.headers.get('x-envoy-auth-partial-body')], ['somebody', 'false']);
  world.question().respond(200);
  assert.equal(world.passed()?.body, 'somebody');
  assert.equal(asked(http({ withRequestBody: { maxRequestBytes: 10 } }), post(20, 'x'.repeat(20))).status(), 413);
});

test('of a long body a part is shown where that is allowed; reading stops until the answer', () => {
  const world = asked(grpc({ withRequestBody: { maxRequestBytes: 4, allowPartialMessage: true, packAsBytes: true } }), post(2000, 'some'));
  const seen = checkOf(world)?.request?.http;
  assert.deepEqual([seen?.rawBody.toString(), seen?.body, seen?.headers['x-envoy-auth-partial-body']], ['some', '', 'true']);
  assert.equal(world.wire.paused, true);
  world.wire.receive('x'.repeat(1500));
  answerGrpc(world, {});
  assert.equal(world.wire.paused, false);
  world.wire.receive('y'.repeat(496));
  assert.equal(world.passed()?.body, `some${'x'.repeat(1500)}${'y'.repeat(496)}`);
});

test('the filter asks about a share of requests, or those that metadata names; the others pass or not', () => {
  const world = asked(http({ filterEnabled: { defaultValue: { numerator: 0 } } }), requestText());
  assert.deepEqual([world.question().head.headers.has('x-request-id'), world.count('disabled')], [true, 1]);
  const shut = asked(http({ filterEnabledMetadata: { filter: 'a', path: [{ key: 'b' }], value: { boolMatch: true } }, denyAtDisable: { defaultValue: true, runtimeKey: 'k' } }), requestText());
  assert.deepEqual([shut.status(), shut.info()?.responseCodeDetails], [403, 'ext_authz_error']);
});

test('what it cannot run is refused by its path', () => {
  const refused = (json: Json): string[] => {
    const result = extAuthzFilter.parse(jsonToBinary(typeName, json), { path: 'f', typeUrl: '', warn: () => {}, extensions: filterExtensions() });
    return result.ok ? [] : result.error.map(({ path }) => path);
  };
  assert.deepEqual(refused({}), ['f']);
  assert.deepEqual(refused({ grpcService: { googleGrpc: { targetUri: 'x', statPrefix: 'y' } } }), ['f.grpc_service.google_grpc', 'f.grpc_service.envoy_grpc.cluster_name']);
  assert.deepEqual(refused(http({}, { pathPrefix: 'x', serverUri: {}, authorizationResponse: { allowedClientHeaders: { patterns: [{ safeRegex: { regex: '(' } }] } } })), ['f.http_service.server_uri.cluster', 'f.http_service.path_prefix', 'f.http_service.authorization_response.allowed_client_headers.patterns[0].safe_regex.regex']);
  assert.deepEqual(refused(grpc({ transportApiVersion: 'V2', bootstrapMetadataLabelsKey: 'a', decoderHeaderMutationRules: {}, withRequestBody: {} })), ['f.transport_api_version', 'f.bootstrap_metadata_labels_key', 'f.decoder_header_mutation_rules', 'f.with_request_body.max_request_bytes']);
});

test('no answer of a service makes it throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    validVerdict(decodeVerdict(bytes));
  }), { numRuns: 500 });
});
