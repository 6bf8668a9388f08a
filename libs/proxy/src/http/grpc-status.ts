const httpByGrpc = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** What a gRPC status counts as where HTTP statuses are looked at. */
export function httpFromGrpc(status: number): number {
  return httpByGrpc[status] ?? 500;
}
