import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { HeaderMap, RequestHead, ResponseFlag, ResponseHead, StreamInfo, unknownConnection } from '@meltemi/http';
import type { Extension, Extensions } from '@meltemi/snapshot';
import { compileJsonLine, compileTextLine, fileAccessLoggers, istioJsonFormat, istioTextFormat, type FileAccessLogConfig } from './index.ts';

function served(): StreamInfo {
  const info = new StreamInfo({ ...unknownConnection, localAddress: '10.0.0.9:9080', directRemoteAddress: '10.0.0.5:41000' }, Date.UTC(2026, 0, 2, 3, 4, 5, 60), 10);
  info.request = new RequestHead('GET', '/rewritten', 'reviews:9080', new HeaderMap(['user-agent', 'curl/8.0', 'x-request-id', 'id-1', 'x-envoy-original-path', '/api?q=1']));
  info.response = new ResponseHead(200, new HeaderMap(['x-envoy-upstream-service-time', '4']));
  info.responseCode = 200;
  info.responseCodeDetails = 'via_upstream';
  info.bytesSent = 379;
  info.endMonoMs = 15.8;
  info.upstreamHost = '10.0.1.2:9080';
  info.upstreamCluster = 'outbound|9080||reviews.default.svc.cluster.local';
  info.upstreamLocalAddress = '10.0.0.9:50000';
  info.routeName = 'default';
  return info;
}

function unrouted(): StreamInfo {
  const info = new StreamInfo(unknownConnection, 0, 0);
  info.responseFlags = ResponseFlag.NR;
  info.responseCode = 404;
  info.responseCodeDetails = 'route_not_found';
  return info;
}

function textLine(format: string, info: StreamInfo): string {
  const line = compileTextLine(format);
  assert.ok(line.ok, JSON.stringify(line));
  return line.value.format(info);
}

test('Istio\'s default line of a served request', () => {
  assert.equal(textLine(istioTextFormat, served()),
    '[2026-01-02T03:04:05.060Z] "GET /api?q=1 HTTP/1.1" 200 - via_upstream - "-" 0 379 5 4 "-" "curl/8.0" "id-1" "reviews:9080" "10.0.1.2:9080" ' +
    'outbound|9080||reviews.default.svc.cluster.local 10.0.0.9:50000 10.0.0.9:9080 10.0.0.5:41000 - default\n');
});

test('Istio\'s default line when nothing is known', () => {
  assert.equal(textLine(istioTextFormat, unrouted()),
    '[1970-01-01T00:00:00.000Z] "- - -" 404 NR route_not_found - "-" 0 0 - - "-" "-" "-" "-" "-" - - - - - -\n');
});

test('Istio\'s JSON keeps numbers and nulls', () => {
  const line = compileJsonLine(istioJsonFormat);
  assert.ok(line.ok);
  const text = line.value.format(served());
  assert.equal(text.endsWith('}\n'), true);
  const entry = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual(Object.keys(entry), Object.keys(istioJsonFormat));
  assert.deepEqual([entry['response_code'], entry['duration'], entry['path'], entry['x_forwarded_for'], entry['response_flags']], [200, 5, '/api?q=1', null, '-']);
});

const noExtensions: Extensions = { networkFilters: new Map(), httpFilters: new Map(), listenerFilters: new Map(), accessLoggers: new Map() };

function parse(name: string, json: object) {
  const extension = new Map<string, Extension>(fileAccessLoggers()).get(`type.googleapis.com/${name}`);
  assert.ok(extension);
  return extension.parse(jsonToBinary(name, json), { path: 'p', typeUrl: name, warn: () => {}, extensions: noExtensions });
}

test('file, stdout and stderr loggers compile to a path and a format', () => {
  for (const [name, json, path, expected] of [
    ['envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: '/log', log_format: { text_format_source: { inline_string: '%RESPONSE_CODE%\n' } } }, '/log', '404\n'],
    ['envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: '/log', format: '%RESPONSE_FLAGS%\n' }, '/log', 'NR\n'],
    ['envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: '/log', log_format: { json_format: { c: '%RESPONSE_CODE%' } } }, '/log', '{"c":404}\n'],
    ['envoy.extensions.access_loggers.stream.v3.StdoutAccessLog', { log_format: { text_format: 'x' } }, '/dev/stdout', 'x'],
    ['envoy.extensions.access_loggers.stream.v3.StderrAccessLog', {}, '/dev/stderr', '[1970-01-01T00:00:00.000Z] "- - -" 404 NR 0 0 - - "-" "-" "-" "-" "-"\n'],
  ] as const) {
    const parsed = parse(name, json);
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const config = parsed.value as FileAccessLogConfig;
    assert.deepEqual([config.path, config.format.format(unrouted())], [path, expected]);
  }
});

test('a broken format is refused with the field that holds it', () => {
  const name = 'envoy.extensions.access_loggers.file.v3.FileAccessLog';
  for (const [json, path] of [
    [{}, 'p.path'], [{ path: '/x', format: '%NOPE%' }, 'p.format'], [{ path: '/x', log_format: { text_format: '%' } }, 'p.log_format'],
    [{ path: '/x', log_format: { json_format: { a: { b: '%NOPE%' } } } }, 'p.log_format.a.b'],
  ] as const) {
    const parsed = parse(name, json);
    assert.equal(!parsed.ok && parsed.error[0]?.path, path);
  }
});
