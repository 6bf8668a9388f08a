import type { ConnectionPoolSettings, IstioIngressListener, ServerTlsSettings } from '@meltemi/config';
import { findDestinationRule } from '../push-context/destination-rules.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { scopeOf } from '../push-context/scope.ts';
import { bindAddress, type Proxy } from '../proxy/proxy.ts';
import type { Protocol, Service, ServiceTarget } from '../registry/model.ts';
import { parseProtocol } from '../registry/protocol.ts';
import { wildcards } from './addresses.ts';
import { effectivePolicy } from './clusters/traffic-policy.ts';
import { serviceTargets } from './service-targets.ts';

/** A port the workload receives on. */
export interface InboundPort {
  readonly targetPort: number;
  /** Port of the service; the target port for Sidecar ingress. */
  readonly servicePort: number;
  readonly protocol: Protocol;
  readonly services: readonly Service[];
  /** Where it binds when nothing is intercepted. */
  readonly bind: string;
  /** True: a listener of its own; false: a filter chain of virtualInbound. */
  readonly bindToPort: boolean;
  /** Where requests go, when a Sidecar says so. */
  readonly endpoint?: { readonly host: string; readonly port: number };
  readonly connectionPool?: ConnectionPoolSettings;
  readonly tls?: ServerTlsSettings;
}

/** One entry per port of the workload: from its Sidecar's ingress when it has one, else (or, when switched on, for other ports) from the services that select it. */
export function inboundPorts(push: PushContext, proxy: Proxy): InboundPort[] {
  if (proxy.type !== 'sidecar') return [];
  const sidecar = scopeOf(push, proxy).sidecar;
  const pool = sidecar?.spec.inboundConnectionPool;
  const ports = new Map<number, InboundPort>();
  const targets = serviceTargets(push, proxy);
  const declared = sidecar?.spec.ingress ?? [];
  for (const listener of declared) {
    const services = targets.filter(({ targetPort }) => targetPort === listener.port.number).map(({ service }) => service);
    ports.set(listener.port.number, fromSidecar(listener, proxy, { services: [...new Set(services)], pool }));
  }
  if (declared.length > 0 && !push.features.ingressBesideServices) return sorted(ports);
  const taken = new Set([push.mesh.proxyListenPort, push.mesh.proxyInboundListenPort, ...ports.keys()]);
  for (const target of targets) {
    if (taken.has(target.targetPort)) continue;
    const known = ports.get(target.targetPort);
    ports.set(target.targetPort, known ? { ...known, services: [...new Set([...known.services, target.service])] } : fromService(target, proxy, pool ?? servicePool(push, proxy, target)));
  }
  return sorted(ports);
}

function sorted(ports: ReadonlyMap<number, InboundPort>): InboundPort[] {
  return [...ports.values()].toSorted((a, b) => a.targetPort - b.targetPort);
}

/** Limits that the service's rule sets for its clients hold here, too: the server must not have less room than they are promised. Source: Istio's buildInboundCluster. */
function servicePool(push: PushContext, proxy: Proxy, { service, port }: ServiceTarget): ConnectionPoolSettings | undefined {
  const rule = findDestinationRule(push.destinationRules, service, { namespace: proxy.namespace, labels: {} }, push.mesh.rootNamespace);
  return effectivePolicy(rule?.selector ? undefined : rule?.trafficPolicy, undefined, port.number, push.mesh.defaultTrafficPolicy).connectionPool;
}

function fromService(target: ServiceTarget, proxy: Proxy, pool: ConnectionPoolSettings | undefined): InboundPort {
  return {
    targetPort: target.targetPort,
    servicePort: target.port.number,
    protocol: target.port.protocol,
    services: [target.service],
    bind: proxy.interception === 'NONE' ? proxy.addresses[0] : bindAddress(proxy, wildcards(proxy.families)[0]),
    bindToPort: proxy.interception === 'NONE',
    ...(pool ? { connectionPool: pool } : {}),
  };
}

function fromSidecar(listener: IstioIngressListener, proxy: Proxy, { services, pool }: { readonly services: readonly Service[]; readonly pool: ConnectionPoolSettings | undefined }): InboundPort {
  const { port } = listener;
  const endpoint = parsedEndpoint(listener.defaultEndpoint, proxy);
  const connectionPool = listener.connectionPool ?? pool;
  const bindToPort = listener.captureMode === 'NONE' || (listener.captureMode === 'DEFAULT' && proxy.interception === 'NONE');
  return {
    targetPort: port.number,
    servicePort: port.number,
    protocol: parseProtocol(port.protocol),
    services,
    bind: listener.bind === '' ? proxy.addresses[0] : bindAddress(proxy, listener.bind),
    bindToPort,
    ...(endpoint ? { endpoint } : {}),
    ...(connectionPool ? { connectionPool } : {}),
    ...(listener.tls ? { tls: listener.tls } : {}),
  };
}

/** 127.0.0.1:P is the application, 0.0.0.0:P the workload's own address, unix:///path a socket. */
function parsedEndpoint(text: string, proxy: Proxy): { host: string; port: number } | undefined {
  if (text === '') return undefined;
  if (text.startsWith('unix://')) return { host: text, port: 0 };
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(text.slice(colon + 1));
  if (!Number.isInteger(port)) return undefined;
  if (host === '0.0.0.0') return { host: proxy.addresses.find((address) => !address.includes(':')) ?? '127.0.0.1', port };
  if (host === '::') return { host: proxy.addresses.find((address) => address.includes(':')) ?? '::1', port };
  return { host: host === '127.0.0.1' || host === '::1' ? proxy.appAddress : host, port };
}
