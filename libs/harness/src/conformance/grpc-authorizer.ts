import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { AuthorizationService, type CheckRequest, type CheckResponse } from '@meltemi/api/gen/envoy/service/auth/v3/external_auth.ts';

const permissionDenied = 7;

/** An external authorizer over gRPC that says the same to all. */
export class GrpcAuthorizer {
  verdict: 'allow' | 'deny' = 'allow';
  readonly #server = new Server();
  #port = 0;

  static async start(): Promise<GrpcAuthorizer> {
    const authorizer = new GrpcAuthorizer();
    authorizer.#server.addService(AuthorizationService, { check: (_call: ServerUnaryCall<CheckRequest, CheckResponse>, answer: sendUnaryData<CheckResponse>) => answer(null, authorizer.#response()) });
    authorizer.#port = await new Promise((resolve, reject) => {
      authorizer.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error === null ? resolve(port) : reject(error)));
    });
    return authorizer;
  }

  get port(): number {
    return this.#port;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #response(): CheckResponse {
    return { status: { code: this.verdict === 'allow' ? 0 : permissionDenied, message: '', details: [] }, httpResponse: undefined, dynamicMetadata: undefined };
  }
}
