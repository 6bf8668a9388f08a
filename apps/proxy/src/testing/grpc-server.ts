import { Server, ServerCredentials } from '@grpc/grpc-js';

/** A gRPC server on a port of its own. */
export interface GrpcServer {
  readonly port: number;
  stop(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A real gRPC server in plain text; `add` gives it its services. */
export async function grpcServer(add: (server: Server) => void): Promise<GrpcServer> {
  const server = new Server();
  add(server);
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
  const stop = () => server.forceShutdown();
  return { port, stop, [Symbol.asyncDispose]: () => Promise.resolve(stop()) };
}
