import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HTTPAccessLogEntry } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import { HeaderMap, RequestHead, ResponseHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { httpAccessLogEntry } from './access-log-entry.ts';
import type { GrpcAccessLogConfig } from './grpc-access-log.ts';

const wire = (text: string) => Buffer.from(text).toString('latin1');
const config: GrpcAccessLogConfig = {
  kind: 'http', logName: 'web', clusterName: 'logs', flushMs: 1000, bufferBytes: 0, requestHeaders: ['x-user'], responseHeaders: ['x-place'], responseTrailers: ['x-end'], filterState: [], customTags: [],
};

test('fields in UTF-8 are told as the texts they are', () => {
  const info = new StreamInfo(unknownConnection, 0, 0);
  info.request = new RequestHead('GET', '/', 'a', new HeaderMap(['x-user', wire('José'), 'user-agent', wire('日本')]));
  info.response = new ResponseHead(200, new HeaderMap(['x-place', wire('Zürich')]));
  info.responseTrailers = ['x-end', wire('fín')];
  const { request, response } = HTTPAccessLogEntry.decode(httpAccessLogEntry(info, config));
  assert.deepEqual([request?.requestHeaders, request?.userAgent, response?.responseHeaders, response?.responseTrailers], [{ 'x-user': 'José' }, '日本', { 'x-place': 'Zürich' }, { 'x-end': 'fín' }]);
});
