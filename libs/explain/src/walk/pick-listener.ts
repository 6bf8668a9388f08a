import { serviceTargets } from '@meltemi/pilot';
import type { Listener } from '@meltemi/snapshot';
import type { Call } from '../question.ts';
import type { ProxyView } from '../view.ts';
import type { Addresses } from './connection.ts';

/** The listener that takes the connection; `captured` is the one that it was redirected to first, when it was. */
export interface Picked {
  readonly listener: Listener;
  readonly captured: Listener | null;
  /** The destination as the listener sees it: a gateway listens on its Service's target port. */
  readonly port: number;
}

/** Mirrors the proxy: redirected connections go to virtualOutbound or virtualInbound, which hands them on by their original destination. */
export function pickListener(view: ProxyView, call: Call, { ip, port }: Addresses): Picked | null {
  if (call.mode === 'gateway' || view.proxy.type === 'router') return gatewayListener(view, ip, port);
  const direction = call.mode === 'inbound' ? 'inbound' : 'outbound';
  const mine = view.listeners.filter(({ trafficDirection }) => trafficDirection === direction);
  const captured = view.proxy.interception === 'NONE' ? undefined : mine.find(({ name }) => name === (direction === 'inbound' ? 'virtualInbound' : 'virtualOutbound'));
  if (captured === undefined) {
    const bound = byDestination(mine, ip, port) ?? (direction === 'outbound' && call.protocol !== 'tcp' ? httpProxy(mine, view.push.mesh.proxyHttpPort) : null);
    return bound && { listener: bound, captured: null, port };
  }
  // bound to its port or not: connections are handed to any listener of their destination
  const others = direction === 'outbound' ? view.listeners : mine.filter(({ bindToPort }) => bindToPort);
  const own = captured.useOriginalDst || direction === 'inbound' ? byDestination(others.filter((one) => one !== captured), ip, port) : null;
  return { listener: own ?? captured, captured, port };
}

/** The port itself, else what the gateway's own Service makes of it. */
function gatewayListener(view: ProxyView, ip: string, port: number): Picked | null {
  const { proxy, push } = view;
  const target = serviceTargets(push, proxy).find((one) => one.port.number === port)?.targetPort;
  for (const wanted of [port, ...(target === undefined ? [] : [target])]) {
    const listener = byDestination(view.listeners, ip, wanted);
    if (listener) return { listener, captured: null, port: wanted };
  }
  return null;
}

/** Where nothing is captured applications reach the mesh through their sidecar's HTTP proxy. */
function httpProxy(listeners: readonly Listener[], port: number): Listener | null {
  return listeners.find(({ addresses }) => addresses.some((at) => at.kind === 'ip' && at.port === port)) ?? null;
}

/** The exact address wins over the wildcard of the same port. */
function byDestination(listeners: readonly Listener[], ip: string, port: number): Listener | null {
  let wildcard: Listener | null = null;
  for (const listener of listeners)
    for (const target of listener.addresses) {
      if (target.kind !== 'ip' || target.port !== port) continue;
      if (target.address === ip) return listener;
      if (target.address === '0.0.0.0' || target.address === '::') wildcard ??= listener;
    }
  return wildcard;
}
