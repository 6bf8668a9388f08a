import type { RequestHead } from './heads.ts';

/** The content type is application/grpc or application/grpc+…. */
export function isGrpc(request: RequestHead): boolean {
  const type = request.headers.get('content-type');
  return type !== null && type.startsWith('application/grpc') && (type.length === 16 || type.charCodeAt(16) === 43);
}

/** gRPC over HTTP/2's table for answers that did not come from a gRPC server. */
export function grpcFromHttp(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}
