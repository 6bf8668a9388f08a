import { Metadata, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';

/** What the API says instead of an answer. */
export class ApiError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A call with one answer; what is thrown becomes its status. */
export function unary<Request, Response>(answer: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response>): (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => void {
  const run = async (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): Promise<void> => {
    try {
      callback(null, await answer(call.request, call));
    } catch (cause) {
      callback({ code: cause instanceof ApiError ? cause.code : status.INTERNAL, details: cause instanceof Error ? cause.message : String(cause), metadata: new Metadata() });
    }
  };
  return (call, callback) => void run(call, callback);
}
