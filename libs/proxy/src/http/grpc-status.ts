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

const httpByGrpc = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** The other way: what a gRPC status counts as where HTTP statuses are looked at. */
export function httpFromGrpc(status: number): number {
  return httpByGrpc[status] ?? 500;
}
