import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderMap } from '../header-map.ts';
import { RequestHead, ResponseHead } from '../heads.ts';
import { ResponseFlag } from '../response-flags.ts';
import { StreamInfo, unknownConnection } from '../stream-info.ts';
import { compileJsonFormat } from './json-format.ts';
import { compileFormat } from './substitution.ts';

function stream(): StreamInfo {
  const connection = { ...unknownConnection, localAddress: '10.0.0.2:9080', directRemoteAddress: '[::1]:5000', requestedServerName: 'sni.example' };
  const info = new StreamInfo(connection, Date.UTC(2026, 2, 1, 12, 0, 5, 7), 100);
  info.request = new RequestHead('GET', '/a?x=1', 'reviews:9080', new HeaderMap(['user-agent', 'curl/8', 'x-two', '1', 'x-two', '2']));
  info.response = new ResponseHead(200, new HeaderMap(['grpc-status', '14']));
  info.responseCode = 200;
  info.responseFlags = ResponseFlag.UF | ResponseFlag.URX;
  info.responseCodeDetails = 'via upstream';
  info.endMonoMs = 142.9;
  info.bytesSent = 12;
  info.setMetadata('ns', 'key', { deep: [1, 'b'] });
  info.setFilterState('k', 'v');
  return info;
}

function text(format: string): string {
  const compiled = compileFormat(format);
  assert.ok(compiled.ok, JSON.stringify(compiled));
  const whole = compiled.value.format(stream());
  const pieces: string[] = [];
  compiled.value.writeTo(stream(), { text: (piece) => void pieces.push(piece) });
  assert.equal(pieces.join(''), whole, format);
  return whole;
}

test('commands give what they name, missing ones a dash', () => {
  for (const [format, expected] of [
    ['plain 100%%', 'plain 100%'],
    ['%REQ(:METHOD)% %REQ(X-NOT?:PATH)% %REQ(X-NOT)%', 'GET /a?x=1 -'],
    ['%REQ(USER-AGENT):4%|%REQ(X-TWO)%', 'curl|1'],
    ['%REQ_WITHOUT_QUERY(:PATH)% %QUERY_PARAM(x)%', '/a 1'],
    ['%PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%', 'HTTP/1.1 200 UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded'],
    ['%RESPONSE_CODE_DETAILS% %RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%', 'via_upstream via upstream'],
    ['%DURATION% %REQUEST_DURATION% %BYTES_SENT%', '42 - 12'],
    ['%START_TIME%', '2026-03-01T12:00:05.007Z'],
    ['%START_TIME(%Y/%m/%d %H:%M:%E3S %s.%3f %b)%', '2026/03/01 12:00:05.007 1772366405.007 Mar'],
    ['%DOWNSTREAM_LOCAL_PORT% %DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '9080 [::1]:5000 ::1'],
    ['%REQUESTED_SERVER_NAME% %ROUTE_NAME% %UPSTREAM_HOST%', 'sni.example - -'],
    ['%DYNAMIC_METADATA(ns:key:deep)% %DYNAMIC_METADATA(ns:none)% %FILTER_STATE(k:PLAIN)% %FILTER_STATE(k)%', '[1,"b"] - v "v"'],
    // Of gRPC alone.
    ['%GRPC_STATUS% %GRPC_STATUS_NUMBER%', '- -'],
    ['%METADATA(DYNAMIC:ns:key:deep)%', '[1,"b"]'],
    ['%DOWNSTREAM_PEER_URI_SAN%', '-'],
  ] as const) assert.equal(text(format), expected, format);
});

test('the status of a gRPC request is its own, else what its HTTP status means', () => {
  const formats = '%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%';
  const compiled = compileFormat(formats);
  assert.ok(compiled.ok);
  const info = stream();
  info.request?.headers.set('content-type', 'application/grpc+proto');
  assert.equal(compiled.value.format(info), 'Unavailable UNAVAILABLE 14 14');
  info.response?.headers.remove('grpc-status');
  info.responseCode = 403;
  assert.equal(compiled.value.format(info), 'PermissionDenied PERMISSION_DENIED 7 7');
  info.responseCode = 0;
  assert.equal(compiled.value.format(info), '- - - -');
});

test('commands about time take a format, and the time of this machine', (t) => {
  const zone = process.env['TZ'];
  process.env['TZ'] = 'Asia/Kolkata';
  t.after(() => { if (zone === undefined) delete process.env['TZ']; else process.env['TZ'] = zone; });
  for (const [format, expected] of [
    ['%EMIT_TIME(%H:%M:%E3S)% %EMIT_TIME%', '12:00:05.049 2026-03-01T12:00:05.049Z'],
    ['%START_TIME_LOCAL%', '2026-03-01T17:30:05.007+05:30'],
    ['%EMIT_TIME_LOCAL(%F %T %z)%', '2026-03-01 17:30:05 +0530'],
    ['%DOWNSTREAM_PEER_CERT_V_START(%F)%', '-'],
  ] as const) assert.equal(text(format), expected, format);
});

test('names of hosts, addresses before redirection and sizes of trailers are told', () => {
  for (const [format, expected] of [
    ['%UPSTREAM_HOST_NAME% %UPSTREAM_HOST_NAME_WITHOUT_PORT%', '- -'],
    ['%DOWNSTREAM_DIRECT_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_PORT%', `${stream().connection.localAddress} 9080`],
    ['%RESPONSE_TRAILERS_BYTES% %VIRTUAL_CLUSTER_NAME%', `${(stream().responseTrailers ?? []).join('').length} -`],
  ] as const) assert.equal(text(format), expected, format);
  const named = compileFormat('%UPSTREAM_HOST_NAME% %UPSTREAM_HOST_NAME_WITHOUT_PORT% %VIRTUAL_CLUSTER_NAME%');
  assert.ok(named.ok);
  assert.equal(named.value.format(Object.assign(stream(), { upstreamHost: '10.0.0.1:80', upstreamHostName: 'app.test', virtualClusterName: 'orders' })), 'app.test:80 app.test orders');
});

test('an id of its own is made with each use, where somebody makes them', () => {
  let count = 0;
  const compiled = compileFormat('%UNIQUE_ID% %UNIQUE_ID%', { uniqueId: () => `id-${++count}` });
  assert.ok(compiled.ok);
  assert.deepEqual([compiled.value.format(stream()), compiled.value.format(stream())], ['id-1 id-2', 'id-3 id-4']);
  assert.equal(compileFormat('%UNIQUE_ID%').ok, false);
});

test('unknown commands, stray percent signs and wrong arguments are refused with their reason', () => {
  for (const [format, reason] of [
    ['%NOPE%', /NOPE/], ['a % b', /position 2/], ['%REQ()%', /header name/], ['%DURATION(x)%', /no argument/], ['%START_TIME(%Q)%', /specifier/],
    ['%PROTOCOL:3%', /no length/], ['%constructor%', /position 0/], ['%REQ(A', /position 0/], ['%ENVIRONMENT(X)%', /not available/],
  ] as const) {
    const compiled = compileFormat(format);
    assert.equal(compiled.ok, false, format);
    if (!compiled.ok) assert.match(compiled.error[0]?.message ?? '', reason);
  }
});

test('JSON keeps the type of a lone command and nulls what is missing', () => {
  const format = { code: '%RESPONSE_CODE%', mixed: 'a %DURATION% b', gone: '%UPSTREAM_HOST%', md: '%DYNAMIC_METADATA(ns:key)%', list: ['%PROTOCOL%', true], o: { q: '"' } };
  const compiled = compileJsonFormat(format);
  assert.ok(compiled.ok);
  assert.equal(compiled.value.format(stream()), '{"code":200,"mixed":"a 42 b","gone":null,"md":{"deep":[1,"b"]},"list":["HTTP/1.1",true],"o":{"q":"\\""}}');
  const short = compileJsonFormat({ b: '%UPSTREAM_HOST%', a: '%RESPONSE_CODE%' }, { omitEmpty: true, sortKeys: true });
  assert.ok(short.ok);
  assert.equal(short.value.format(stream()), '{"a":200}');
});

test('any text compiles or is refused, and what compiles formats', () => {
  const piece = fc.constantFrom('%', '%%', '%REQ(', 'A)', ':3%', '%DURATION%', '%REQ(:PATH?X):2%', 'x', '%START_TIME(%f)%', '(', ')');
  fc.assert(fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
    const compiled = compileFormat(pieces.join(''));
    if (compiled.ok) assert.equal(typeof compiled.value.format(stream()), 'string');
  }));
});
