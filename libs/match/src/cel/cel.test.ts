import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RequestHead, ResponseHead, StreamInfo } from '@meltemi/http';
import { celReason, compileCel } from './compile.ts';
import { celSyntaxReason } from './parse.ts';

function stream(): StreamInfo {
  const info = new StreamInfo({ id: 1, localAddress: '10.0.0.1:9080', directRemoteAddress: '10.0.0.2:5000', requestedServerName: '', tls: null }, 0, 0);
  info.request = new RequestHead('GET', '/api/a?x=1', 'reviews:9080');
  info.request.headers.set('x-team', 'blue');
  info.response = new ResponseHead(503);
  info.responseCode = 503;
  info.endMonoMs = 250;
  info.setFilterState('downstream_peer', { workload: 'productpage-v1', canonicalService: 'productpage' });
  info.setMetadata('a.b', 'c', { d: 1 });
  return info;
}

function value(expression: string): unknown {
  const compiled = compileCel(expression);
  assert.ok(compiled.ok, compiled.ok ? '' : compiled.error);
  return compiled.value.evaluate(stream());
}

test('expressions over a stream', () => {
  const cases: readonly (readonly [expression: string, expected: unknown])[] = [
    ['response.code >= 400', true],
    ['response.code == 200', false],
    ['response.code >= 500 && response.code < 600', true],
    ['response.code in [503, 504]', true],
    ['!(response.code == 503)', false],
    ['connection.mtls', false],
    ['!connection.mtls || true', true],
    ["request.method == 'GET' && request.url_path == '/api/a'", true],
    ['request.url_path.startsWith("/api")', true],
    ["request.path.matches('x=[0-9]$')", true],
    ["request.headers['x-team'] == 'blue'", true],
    ["'x-team' in request.headers", true],
    ["'x-other' in request.headers", false],
    ["has(request.headers['x-other'])", false],
    ["request.headers['x-other'] == 'a'", undefined],
    ["request.headers['x-other'] == 'a' || response.code == 503", true],
    ["request.headers['x-other'] == 'a' && response.code == 200", false],
    ["response.code >= 400 ? 'bad' : 'good'", 'bad'],
    ["'code ' + string(response.code)", 'code 503'],
    ["request.duration > duration('200ms')", true],
    ["request.duration > duration('1s')", false],
    ['downstream_peer.workload', 'productpage-v1'],
    ['filter_state.downstream_peer.service', 'productpage'],
    ["filter_state['downstream_peer'].app", undefined],
    ["downstream_peer.labels['service.istio.io/canonical-name']", 'productpage'],
    ["has(downstream_peer.labels['team'])", false],
    ["metadata.filter_metadata['a.b'].c.d + 1", 2],
    ['size(request.method) * 2 - 1', 5],
    ['-response.code < 0', true],
    ["has(xds.route_name) ? xds.route_name : 'none'", 'none'],
    ['source.port', 5000],
  ];
  for (const [expression, expected] of cases) assert.equal(value(expression), expected, expression);
});

test('what cannot be run is refused with a reason, before any stream', () => {
  const cases: readonly (readonly [expression: string, reason: RegExp])[] = [
    ['', /ends too soon/],
    ['response.code >=', /ends too soon/],
    ['response.colour == 1', /response\.colour is not an attribute/],
    ['colour', /colour is not an attribute/],
    ['constructor', /constructor is not an attribute/],
    ['constructor(1)', /constructor\(\) is not a function/],
    ['[1].map(x, x)', /is not/],
    ['request.path.matches(request.host)', /written out/],
    ["request.path.matches('(?=a)')", /RE2/],
    ['has(1)', /one field/],
    ['a b', /not expected/],
    ['"open', /not CEL/],
    ['('.repeat(100), /nested deeper/],
    [`"${'a'.repeat(5000)}"`, /longer/],
  ];
  for (const [expression, reason] of cases) assert.match(celReason(expression) ?? '', reason, expression);
});

test('what is only not run here is no mistake in syntax', () => {
  for (const wrong of ['', ')++', 'a b', 'request.path ==', "request.headers['x'", 'a || || b', 'a ? b']) assert.notEqual(celSyntaxReason(wrong), undefined, wrong);
  const right = ['colour', 'f(1)', '[1].map(x, x)', "{'a': 1}.a", 'Message{field: 1}', 'r"\\d"', 'b"a"', '0x1f', '1e3', '.5 < 1.', '.google.type == 1', '"""a"b"""', `"${'a'.repeat(5000)}"`, `${'('.repeat(70)}1${')'.repeat(70)}`];
  for (const text of right) assert.equal(celSyntaxReason(text), undefined, text);
});

test('no text makes the parser or a run of it throw', () => {
  const words = fc.constantFrom('request', 'response', '.code', '.headers', "['a']", '(', ')', '[', ']', '==', '&&', '||', '!', '?', ':', '1', '"a"', 'in', 'has', 'size', 'matches', ',', '-', '+');
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.array(words, { maxLength: 20 }).map((list) => list.join(' '))), (text) => {
      const compiled = compileCel(text);
      if (compiled.ok) compiled.value.evaluate(stream());
    }),
  );
});
