import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { Http2ProtocolOptions } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import { Report } from '@meltemi/route';
import { compileHttp2 } from './http-options.ts';

function compile(json: object) {
  const report = new Report();
  const value = compileHttp2(Http2ProtocolOptions.decode(jsonToBinary('envoy.config.core.v3.Http2ProtocolOptions', json)), 'http2', report);
  return { value, errors: report.errors.map(({ path }) => path) };
}

test('HTTP/2 limits are Envoy’s, windows and concurrency bounded, when nothing is said', () => {
  assert.deepEqual(compileHttp2(undefined, 'http2', new Report()), {
    hpackTableSize: 4096, maxConcurrentStreams: 1024, initialStreamWindow: 1_048_576, initialConnectionWindow: 25_165_824, allowConnect: false,
    keepaliveIntervalMs: 0, keepaliveTimeoutMs: 0, keepaliveJitterPercent: 15, connectionIdleIntervalMs: 0, maxOutboundFrames: 10_000, maxOutboundControlFrames: 1000,
    maxConsecutiveEmptyFrames: 1, maxPriorityFramesPerStream: 100, maxWindowUpdatesPerDataFrame: 10, streamErrorOnMalformed: false,
  });
});

test('what is said of HTTP/2 is taken', () => {
  const { value, errors } = compile({
    hpack_table_size: 0, max_concurrent_streams: 7, initial_stream_window_size: 65_535, initial_connection_window_size: 100_000, allow_connect: true,
    connection_keepalive: { interval: '30s', timeout: '5s', interval_jitter: { value: 0 }, connection_idle_interval: '60s' },
    max_outbound_frames: 1, max_outbound_control_frames: 2, max_consecutive_inbound_frames_with_empty_payload: 3, max_inbound_priority_frames_per_stream: 4,
    max_inbound_window_update_frames_per_data_frame_sent: 5, override_stream_error_on_invalid_http_message: true,
  });
  assert.deepEqual(errors, []);
  assert.deepEqual(value, {
    hpackTableSize: 0, maxConcurrentStreams: 7, initialStreamWindow: 65_535, initialConnectionWindow: 100_000, allowConnect: true, keepaliveIntervalMs: 30_000,
    keepaliveTimeoutMs: 5000, keepaliveJitterPercent: 0, connectionIdleIntervalMs: 60_000, maxOutboundFrames: 1, maxOutboundControlFrames: 2,
    maxConsecutiveEmptyFrames: 3, maxPriorityFramesPerStream: 4, maxWindowUpdatesPerDataFrame: 5, streamErrorOnMalformed: true,
  });
});

test('what a malformed message ends: the override says it, then the connection manager, then the old field', () => {
  const says = (json: object, manager?: boolean) => compileHttp2(Http2ProtocolOptions.decode(jsonToBinary('envoy.config.core.v3.Http2ProtocolOptions', json)), 'http2', new Report(), manager).streamErrorOnMalformed;
  assert.deepEqual([says({}), says({}, true), says({ stream_error_on_invalid_http_messaging: true })], [false, true, true]);
  assert.deepEqual([says({ override_stream_error_on_invalid_http_message: false }, true), says({ stream_error_on_invalid_http_messaging: true }, false)], [false, false]);
});

test('HTTP/2 options out of range are refused by name', () => {
  assert.deepEqual(compile({ max_concurrent_streams: 0, initial_stream_window_size: 1, initial_connection_window_size: 4_000_000_000, connection_keepalive: { interval: '1s' } }).errors, [
    'http2.max_concurrent_streams', 'http2.initial_stream_window_size', 'http2.initial_connection_window_size', 'http2.connection_keepalive.timeout',
  ]);
});
