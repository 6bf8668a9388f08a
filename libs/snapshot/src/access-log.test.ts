import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { AccessLogFilter } from '@meltemi/api/gen/envoy/config/accesslog/v3/accesslog.ts';
import { ResponseHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { Report } from '@meltemi/route';
import { compileLogFilter } from './access-log.ts';

/** Whether an answer of this status, without a status of gRPC or with one, is logged. */
function logged(filter: object, status: number, grpcStatus: string | null = null): boolean {
  const info = new StreamInfo(unknownConnection, 0, 0);
  info.responseCode = status;
  info.response = new ResponseHead(status);
  if (grpcStatus !== null) info.response.headers.set('grpc-status', grpcStatus);
  return compileLogFilter(AccessLogFilter.decode(jsonToBinary('envoy.config.accesslog.v3.AccessLogFilter', filter)), 'filter', new Report()).evaluate(info, 0);
}

test('an answer without a status of gRPC has the one that its HTTP status means, which is never OK', () => {
  const of = (...statuses: readonly string[]) => ({ grpcStatusFilter: { statuses } });
  assert.deepEqual([logged(of('OK'), 200, '0'), logged(of('OK'), 200), logged(of('UNKNOWN'), 200), logged(of('UNAVAILABLE'), 503), logged(of('UNIMPLEMENTED'), 404)], [true, false, true, true, true]);
});
