import type { EgressScope, Scope } from '../push-context/scope.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { isHttp2, type Protocol, type Service, type ServiceTarget } from '../registry/model.ts';

/**
 * The scope as a proxy without HTTP/2 can carry it: HTTP/2 and gRPC ports are plain TCP, bytes pass untouched and mTLS still holds.
 * Deviation: Istio's proxies all speak HTTP/2; ours says when it does (metadata MELTEMI_HTTP2).
 */
export function carriedBy(proxy: Pick<Proxy, 'http2'>, scope: Scope): Scope {
  if (proxy.http2) return scope;
  let carried = scopes.get(scope);
  if (!carried) {
    const egress = scope.egress.map((part): EgressScope => ({ ...part, services: part.services.map(withoutHttp2) }));
    const services = scope.services.map(withoutHttp2);
    carried = { ...scope, services, egress, byHost: new Map([...scope.byHost].map(([host, service]) => [host, withoutHttp2(service)])) };
    scopes.set(scope, carried);
  }
  return carried;
}

/** The same for a port of the proxy's own workload. */
export function targetCarriedBy(proxy: Pick<Proxy, 'http2'>, target: ServiceTarget): ServiceTarget {
  return proxy.http2 ? target : { ...target, port: { ...target.port, protocol: downgraded(target.port.protocol) } };
}

const scopes = new WeakMap<Scope, Scope>();
const services = new WeakMap<Service, Service>();

function withoutHttp2(service: Service): Service {
  if (!service.ports.some((port) => downgraded(port.protocol) !== port.protocol)) return service;
  let carried = services.get(service);
  if (!carried) {
    carried = { ...service, ports: service.ports.map((port) => ({ ...port, protocol: downgraded(port.protocol) })) };
    services.set(service, carried);
  }
  return carried;
}

function downgraded(protocol: Protocol): Protocol {
  // gRPC-Web too: its clients speak HTTP/1.1, its upstream does not
  return isHttp2(protocol) ? 'TCP' : protocol;
}
