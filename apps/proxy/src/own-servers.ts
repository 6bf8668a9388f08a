import { AdminServer, explainListenError, jsonResponse, type Address, type AdminRoute } from '@meltemi/observe-edge';
import type { Lifecycle } from '@meltemi/base';

export interface OwnServer {
  readonly name: string;
  /** Where the address comes from, for messages. */
  readonly flag: string;
  readonly address: Address;
  readonly routes: readonly AdminRoute[];
}

/** Starts one of the proxy's own small HTTP servers (admin, health, Prometheus); resolves with the bound port, 0 for a Unix socket. */
export async function startOwnServer(spec: OwnServer, lifecycle: Lifecycle): Promise<number> {
  const server = new AdminServer({ title: `meltemi-proxy ${spec.name}`, socketFlag: spec.flag });
  for (const route of spec.routes) server.route(route);
  try {
    const bound = await server.listen(spec.address);
    lifecycle.add(`${spec.name} server`, () => server.stop());
    return bound.port;
  } catch (cause) {
    throw explainListenError(cause, { flag: spec.flag, address: spec.address });
  }
}

/** GET /healthz/ready for probes and load balancers. */
export function healthRoutes(ready: () => boolean): AdminRoute[] {
  return [{ method: 'GET', path: '/healthz/ready', description: 'is this proxy ready', handle: () => (ready() ? { body: '' } : { status: 503, body: 'not ready\n' }) }];
}

/** GET /debug/ndsz: the name table in force, as Istio's agent shows it. */
export function nameTableRoute(table: () => unknown): AdminRoute {
  return { method: 'GET', path: '/debug/ndsz', description: 'names that the DNS server answers', handle: () => {
    const known = table();
    return known === undefined ? { status: 404, body: 'this proxy answers no DNS: ISTIO_META_DNS_CAPTURE=true on a sidecar turns it on\n' } : jsonResponse(known);
  } };
}
