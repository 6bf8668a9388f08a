import type { Server } from '@meltemi/config';
import { gatewayHttpRoute, gatewayHttpsRoute } from '@meltemi/xds';
import { hostCovers } from '../push-context/hosts.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { visibleTo, type VirtualService } from '../push-context/virtual-services.ts';
import { bindAddress, type Proxy } from '../proxy/proxy.ts';
import { isHttp, type Protocol } from '../registry/model.ts';
import { parseProtocol } from '../registry/protocol.ts';
import { wildcards } from './addresses.ts';
import { takenGateways } from './taken-gateways.ts';

/** How a server is served: HTTP by routes, after TLS or not; or bytes, after TLS, by server name, by the server names of clusters, or as they come. */
export type ServerKind = 'http' | 'https' | 'tcp' | 'tls' | 'passthrough' | 'auto-passthrough';

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

/** All servers that share an address and port: those with TLS first when both kinds are there. */
export interface GatewayListener {
  readonly bind: string;
  /** Of the other family, for proxies with two. */
  readonly moreBinds: readonly string[];
  readonly port: number;
  readonly servers: readonly GatewayServer[];
}

const known = new WeakMap<PushContext, WeakMap<Proxy, readonly GatewayListener[]>>();

/** The listeners of a gateway proxy, put together once in a context. Servers of different Gateways merge on a port; one that cannot share it with those before it is left out, the oldest Gateway's first. */
export function gatewayListeners(push: PushContext, proxy: Proxy): readonly GatewayListener[] {
  const ofPush = known.get(push) ?? new WeakMap<Proxy, readonly GatewayListener[]>();
  known.set(push, ofPush);
  const before = ofPush.get(proxy);
  if (before) return before;
  const made = listenersOf(push, proxy);
  ofPush.set(proxy, made);
  return made;
}

function listenersOf(push: PushContext, proxy: Proxy): readonly GatewayListener[] {
  const places = new Map<string, Place>();
  const [wildcard, ...others] = wildcards(proxy.families);
  for (const { gateway, ports } of takenGateways(push, proxy)) {
    for (const server of gateway.spec.servers) {
      const bind = bindAddress(proxy, server.bind === '' ? wildcard : server.bind);
      const moreBinds = server.bind === '' && push.features.dualStack ? others : [];
      for (const port of ports(server.port.number)) {
        const place = places.get(`${bind} ${port}`) ?? new Place({ bind, moreBinds }, port);
        places.set(`${bind} ${port}`, place);
        place.add(gatewayServer(server, { name: gateway.meta.name, namespace: gateway.meta.namespace, port }));
      }
    }
  }
  return [...places.values()].filter(({ servers }) => servers.length > 0).toSorted((a, b) => a.port - b.port || (a.bind < b.bind ? -1 : 1));
}

/** Who comes together at one address and port. Source: Istio's mergeGateways. */
class Place implements GatewayListener {
  readonly bind: string;
  readonly moreBinds: readonly string[];
  readonly port: number;
  readonly servers: GatewayServer[] = [];
  /** The first server without TLS of its own. */
  #plain: GatewayServer | undefined;
  readonly #names = new Set<string>();

  constructor({ bind, moreBinds }: Pick<GatewayListener, 'bind' | 'moreBinds'>, port: number) {
    this.bind = bind;
    this.moreBinds = moreBinds;
    this.port = port;
  }

  add(entry: GatewayServer): void {
    // names tell servers with TLS settings apart, also those that only redirect to https
    if (entry.server.tls && !this.#takeNames(namesTaken(entry))) return;
    const plain = entry.kind === 'http' || entry.kind === 'tcp';
    // beside a plain server only HTTP beside HTTP; after TLS servers a plain one takes what they leave
    if (this.#plain && !(this.#plain.kind === 'http' && entry.kind === 'http')) return;
    if (entry.kind === 'https' && this.servers.some(({ routeName }) => routeName === entry.routeName)) return;
    if (plain) this.#plain ??= entry;
    this.servers.push(entry);
  }

  /** False, and nothing is taken, when any is taken already. */
  #takeNames(names: readonly string[]): boolean {
    if (names.some((name) => this.#names.has(name))) return false;
    for (const name of names) this.#names.add(name);
    return true;
  }
}

/** A name for the rules of one namespace is another's, too, unless TLS ends here: which certificate is shown the name alone decides. */
function namesTaken(entry: GatewayServer): string[] {
  const scoped = entry.server.hosts.map((host) => {
    const [namespace, name] = host.includes('/') ? host.split('/') : ['*', host];
    return namespace === '*' ? `${name}` : `${namespace === '.' ? entry.namespace : namespace}/${name}`;
  });
  return entry.kind === 'https' || entry.kind === 'tls' ? [...scoped, ...serverNames(entry).map((name) => `certificate for ${name}`)] : scoped;
}

function gatewayServer(server: Server, owner: { readonly name: string; readonly namespace: string; readonly port: number }): GatewayServer {
  const protocol = parseProtocol(server.port.protocol);
  const kind = kindOf(server, protocol);
  const route = { port: server.port.number, portName: server.port.name, gateway: owner.name, namespace: owner.namespace };
  const bind = server.bind === '' ? '' : `.${server.bind}`;
  const routeName = kind === 'http' ? `${gatewayHttpRoute(owner.port)}${bind}` : kind === 'https' ? `${gatewayHttpsRoute(route)}${bind}` : '';
  return { gateway: `${owner.namespace}/${owner.name}`, namespace: owner.namespace, server, kind, protocol, routeName };
}

/** Ports of plain HTTP have no TLS: their settings can only redirect. */
function kindOf({ tls }: Server, protocol: Protocol): ServerKind {
  if (isHttp(protocol)) return 'http';
  if (!tls) return 'tcp';
  if (tls.mode === 'AUTO_PASSTHROUGH') return 'auto-passthrough';
  if (tls.mode === 'PASSTHROUGH') return 'passthrough';
  return protocol === 'HTTPS' ? 'https' : 'tls';
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
    const name = written.slice(slash + 1).toLowerCase();
    for (const host of rule.hosts) {
      if (hostCovers(name, host)) shared.add(host);
      else if (hostCovers(host, name)) shared.add(name);
    }
  }
  return [...shared];
}
