import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credentials, Server, ServerCredentials, type sendUnaryData, type ServerReadableStream } from '@grpc/grpc-js';
import { jsonToBinary } from '@meltemi/api';
import { AccessLogServiceService, type StreamAccessLogsMessage, type StreamAccessLogsResponse } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';
import { waitFor } from '@meltemi/base';
import { AccessLogSender } from './access-log-sender.ts';

const node = { id: 'n', cluster: '', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [] };

test('what gathered while the service was away arrives whole, in messages that any server takes', async (t) => {
  const paths: string[] = [];
  const errors: string[] = [];
  const server = new Server();
  server.addService(AccessLogServiceService, {
    streamAccessLogs(call: ServerReadableStream<StreamAccessLogsMessage, StreamAccessLogsResponse>, reply: sendUnaryData<StreamAccessLogsResponse>) {
      call.on('data', ({ logEntries }: StreamAccessLogsMessage) => { if (logEntries?.$case === 'httpLogs') paths.push(...logEntries.value.logEntry.map((entry) => entry.request?.path ?? '')); });
      call.on('error', (error: Error) => errors.push(error.message));
      call.on('end', () => reply(null, {}));
    },
  });
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
  t.after(() => server.forceShutdown());
  let away = true;
  const sender = new AccessLogSender({ node, kind: 'http', logName: 'test', target: () => (away ? undefined : { address: `127.0.0.1:${port}`, credentials: credentials.createInsecure() }), onDropped: () => errors.push('dropped') });
  t.after(() => sender.stop());
  const entry = (n: number) => jsonToBinary('envoy.data.accesslog.v3.HTTPAccessLogEntry', { request: { path: `/${n}/${'x'.repeat(1500)}` } });
  for (let n = 0; n < 6000; n += 1000) sender.send(Array.from({ length: 1000 }, (_, i) => entry(n + i)));
  away = false;
  await waitFor('all entries', () => paths.length >= 6000 || errors.length > 0);
  assert.deepEqual(errors, []);
  assert.deepEqual(paths.map((path) => Number(path.split('/')[1])), Array.from({ length: 6000 }, (_, n) => n));
});
