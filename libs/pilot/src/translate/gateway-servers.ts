import type { Config, GatewaySpec, Server } from '@meltemi/config';
import { gatewayHttpRoute, gatewayHttpsRoute } from '@meltemi/xds';
import { selectsByService, servicePorts, type PortResolver } from '../gateway-api/selection.ts';
import { hostCovers } from '../push-context/hosts.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { visibleTo, type VirtualService } from '../push-context/virtual-services.ts';
import { bindAddress, type Proxy } from '../proxy/proxy.ts';
import { isHttp, type Protocol } from '../registry/model.ts';
import { parseProtocol } from '../registry/protocol.ts';
import { selects } from '../registry/workloads.ts';
import { serviceTargets } from './inbound-ports.ts';

/** How a server is served: HTTP by routes, after TLS or not; or bytes, after TLS, by server name, or as they come. */
export type ServerKind = 'http' | 'https' | 'tcp' | 'tls' | 'passthrough';

/** One server of one Gateway that selects the proxy. */
export interface GatewayServer {
  /** "namespace/name" of the Gateway. */
  readonly gateway: string;
  readonly namespace: string;
  readonly server: Server;
  readonly kind: ServerKind;
  readonly protocol: Protocol;
  /** '' for servers without routes. */
  readonly routeName: string;
}

/** All servers that share an address and port. */
export interface GatewayListener {
  readonly bind: string;
  readonly port: number;
  readonly servers: readonly GatewayServer[];
}

/** The listeners of a gateway proxy. Servers of different Gateways merge on a port; one whose protocol cannot share it is left out (the oldest Gateway stays). */
export function gatewayListeners(push: PushContext, proxy: Proxy): GatewayListener[] {
  const targets = serviceTargets(push, proxy);
  const listeners = new Map<string, GatewayListener>();
  for (const gateway of push.gateways) {
    const ports = portsOf(push, gateway, { proxy, targets });
    if (!ports) continue;
    for (const server of gateway.spec.servers) {
      if (server.bind.startsWith('unix://')) continue;
      const bind = bindAddress(proxy, server.bind === '' ? '0.0.0.0' : server.bind);
      for (const port of ports(server.port.number)) {
        const entry = gatewayServer(server, { name: gateway.meta.name, namespace: gateway.meta.namespace, port });
        const known = listeners.get(`${bind} ${port}`);
        if (!known) listeners.set(`${bind} ${port}`, { bind, port, servers: [entry] });
        else if (sharesPort(known, entry)) listeners.set(`${bind} ${port}`, { ...known, servers: [...known.servers, entry] });
      }
    }
  }
  return [...listeners.values()].toSorted((a, b) => a.port - b.port || (a.bind < b.bind ? -1 : 1));
}

/** Where the Gateway's ports are listened on; undefined when it does not take the proxy. */
function portsOf(push: PushContext, gateway: Config<GatewaySpec>, { proxy, targets }: { readonly proxy: Proxy; readonly targets: ReturnType<typeof serviceTargets> }): PortResolver | undefined {
  if (selectsByService(gateway)) return servicePorts(push, gateway, { proxy, targets });
  return selects(gateway.spec.selector, proxy.labels) ? (port) => listenPorts(port, targets) : undefined;
}

/** The Service in front of the gateway may map the port; without one the gateway listens where the server says. */
function listenPorts(port: number, targets: ReturnType<typeof serviceTargets>): number[] {
  const mapped = targets.filter((target) => target.port.number === port).map((target) => target.targetPort);
  return mapped.length > 0 ? [...new Set(mapped)] : [port];
}

function gatewayServer(server: Server, owner: { readonly name: string; readonly namespace: string; readonly port: number }): GatewayServer {
  const protocol = parseProtocol(server.port.protocol);
  const kind = kindOf(server, protocol);
  const route = { port: server.port.number, portName: server.port.name, gateway: owner.name, namespace: owner.namespace };
  const routeName = kind === 'http' ? gatewayHttpRoute(owner.port) : kind === 'https' ? gatewayHttpsRoute(route) : '';
  return { gateway: `${owner.namespace}/${owner.name}`, namespace: owner.namespace, server, kind, protocol, routeName };
}

function kindOf(server: Server, protocol: Protocol): ServerKind {
  const { tls } = server;
  if (isHttp(protocol)) return terminates(server) ? 'https' : 'http';
  if (tls?.mode === 'PASSTHROUGH' || tls?.mode === 'AUTO_PASSTHROUGH') return 'passthrough';
  if (protocol === 'HTTPS') return tls ? 'https' : 'passthrough';
  return tls && terminates(server) ? 'tls' : protocol === 'TLS' ? 'passthrough' : 'tcp';
}

/** tls with nothing but httpsRedirect is a plain server that redirects. PASSTHROUGH is proto3's zero, so a plain server may hold it. */
function terminates({ tls }: Server): boolean {
  return tls !== undefined && tls.mode !== 'PASSTHROUGH' && tls.mode !== 'AUTO_PASSTHROUGH';
}

/** Plain HTTP shares with plain HTTP, TLS with TLS of other names; raw TCP shares with nobody. */
function sharesPort(listener: GatewayListener, entry: GatewayServer): boolean {
  const group = (kind: ServerKind) => (kind === 'http' ? 'http' : kind === 'tcp' ? 'tcp' : 'tls');
  const [first] = listener.servers;
  if (!first || group(first.kind) !== group(entry.kind) || entry.kind === 'tcp') return false;
  if (entry.kind === 'http') return true;
  const taken = new Set(listener.servers.flatMap((other) => serverNames(other)));
  return !serverNames(entry).some((name) => taken.has(name));
}

/** The DNS part of a server's hosts. */
export function serverNames({ server }: GatewayServer): string[] {
  return server.hosts.map((host) => host.slice(host.indexOf('/') + 1));
}

/** A rule bound to a server and the hosts they have in common. */
export interface BoundRule {
  readonly rule: VirtualService;
  readonly hosts: readonly string[];
}

/** VirtualServices that name the server's Gateway, are visible to the proxy, and share a host with the server. */
export function boundRules(push: PushContext, proxy: Proxy, entry: GatewayServer): BoundRule[] {
  return visibleTo(push.virtualServices.byGateway.get(entry.gateway) ?? [], proxy.namespace).flatMap((rule) => {
    const hosts = sharedHosts(entry, rule);
    return hosts.length > 0 ? [{ rule, hosts }] : [];
  });
}

function sharedHosts(entry: GatewayServer, rule: VirtualService): string[] {
  const shared = new Set<string>();
  for (const written of entry.server.hosts) {
    const slash = written.indexOf('/');
    const namespace = slash < 0 ? '*' : written.slice(0, slash);
    if (namespace !== '*' && rule.namespace !== (namespace === '.' ? entry.namespace : namespace)) continue;
    const name = written.slice(slash + 1);
    for (const host of rule.hosts) {
      if (hostCovers(name, host)) shared.add(host);
      else if (hostCovers(host, name)) shared.add(name);
    }
  }
  return [...shared];
}
