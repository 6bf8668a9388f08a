import { httpProxyRouteName } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import type { EgressScope, Scope } from '../push-context/scope.ts';
import type { VirtualService } from '../push-context/virtual-services.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { Service } from '../registry/model.ts';
import { parseProtocol } from '../registry/protocol.ts';

/** What a route table of a sidecar covers. */
export interface EgressPort {
  /** 0: every port (the HTTP proxy port, Unix sockets). */
  readonly port: number;
  /** The one host of a sniffed service's own table. */
  readonly onlyHost?: string;
  readonly services: readonly Service[];
  readonly virtualServices: readonly VirtualService[];
}

/** Finds the egress listener a route name belongs to: one that names the port, else the one for all other ports. */
export function egressFor(push: PushContext, proxy: Proxy, scope: Scope, routeName: string): EgressPort {
  const proxyPort = routeName === httpProxyRouteName;
  const colon = routeName.startsWith('unix://') ? -1 : routeName.lastIndexOf(':');
  const port = proxyPort || routeName.startsWith('unix://') ? 0 : Number(routeName.slice(colon + 1)) || 0;
  const named = scope.egress.find(({ listener }) => listener?.port !== undefined && (routeName === listener.bind || listener.port.number === (proxyPort ? push.mesh.proxyHttpPort : port)));
  const chosen: EgressScope | undefined = named ?? scope.egress.find(({ listener }) => listener?.port === undefined);
  const { services, virtualServices } = chosen ?? { services: [], virtualServices: [] };
  const asProxy = named?.listener?.port !== undefined && parseProtocol(named.listener.port.protocol) === 'HTTP_PROXY';
  return {
    port: asProxy ? 0 : port,
    ...(colon >= 0 && proxy.type === 'sidecar' ? { onlyHost: routeName.slice(0, colon) } : {}),
    services,
    virtualServices,
  };
}
