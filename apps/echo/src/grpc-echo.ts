import { Server, ServerCredentials, type Metadata } from '@grpc/grpc-js';
import { EchoService, type EchoRequest, type EchoResponse, type EchoServer } from '@meltemi/api/gen/meltemi/echo/v1/echo.ts';
import { HealthCheckResponse_ServingStatus, HealthService, type HealthServer } from '@meltemi/api/gen/grpc/health/v1/health.ts';
import type { Settings } from './settings.ts';

/** A gRPC server with the Echo and health services, unary and all streaming kinds. */
export function grpcEcho(settings: Settings): Server {
  const server = new Server();
  const answer = (request: EchoRequest, metadata: Metadata): EchoResponse => ({
    message: request.message, instance: settings.instance, version: settings.version,
    headers: Object.fromEntries(Object.entries(metadata.getMap()).map(([name, value]) => [name, String(value)])),
  });
  const echo: EchoServer = {
    echo: (call, callback) => callback(null, answer(call.request, call.metadata)),
    serverStream(call) {
      for (let i = 0; i < 3; i++) call.write(answer(call.request, call.metadata));
      call.end();
    },
    clientStream(call, callback) {
      let last: EchoRequest = { message: '' };
      call.on('data', (request: EchoRequest) => { last = request; });
      call.on('end', () => callback(null, answer(last, call.metadata)));
    },
    bidiStream(call) {
      call.on('data', (request: EchoRequest) => call.write(answer(request, call.metadata)));
      call.on('end', () => call.end());
    },
  };
  server.addService(EchoService, echo);
  const health: HealthServer = {
    check: (_call, callback) => callback(null, { status: HealthCheckResponse_ServingStatus.SERVING }),
    watch: (call) => { call.write({ status: HealthCheckResponse_ServingStatus.SERVING }); },
  };
  server.addService(HealthService, health);
  return server;
}

export function bindGrpc(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (cause, bound) => (cause ? reject(cause) : resolve(bound))));
}
