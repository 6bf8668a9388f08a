import { selects, type Config, type GatewaySpec } from '@meltemi/config';
import { notes } from '../gateway-api/names.ts';
import { selectsByService, servicePorts, type PortResolver } from '../gateway-api/selection.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { serviceTargets } from './service-targets.ts';

/** A Gateway that a proxy serves. */
export interface TakenGateway {
  readonly gateway: Config<GatewaySpec>;
  /** Where its servers' ports are listened on. */
  readonly ports: PortResolver;
}

/** The Gateways that the proxy serves, the oldest first. */
export function takenGateways(push: PushContext, proxy: Proxy): TakenGateway[] {
  const targets = serviceTargets(push, proxy);
  const taken = push.gateways.flatMap((gateway) => {
    if (push.features.scopeGatewayToNamespace && gateway.meta.namespace !== proxy.namespace) return [];
    const ports = portsOf(push, gateway, { proxy, targets });
    return ports ? [{ gateway, ports }] : [];
  });
  return push.features.strictGatewayMerging ? withoutStrangers(taken) : taken;
}

/**
 * The workloads of a Gateway of the Gateway API have its namespace's credentials: whoever picks them by label from another namespace would have those, too.
 * Source: Istio's filterStrictGatewayMerging.
 */
function withoutStrangers(taken: readonly TakenGateway[]): TakenGateway[] {
  const ofApi = ({ gateway: { meta } }: TakenGateway) => meta.annotations[notes.gatewaySemantics] === 'gateway';
  const deployed = taken.filter((one) => ofApi(one) && (one.gateway.meta.annotations[notes.serviceAccount] ?? '') !== '');
  const homes = new Set(deployed.map(({ gateway }) => gateway.meta.namespace));
  return taken.filter((one) => homes.size === 0 || ofApi(one) || homes.has(one.gateway.meta.namespace));
}

/** Where the Gateway's ports are listened on; undefined when it does not take the proxy. */
function portsOf(push: PushContext, gateway: Config<GatewaySpec>, { proxy, targets }: { readonly proxy: Proxy; readonly targets: ReturnType<typeof serviceTargets> }): PortResolver | undefined {
  if (selectsByService(gateway)) return servicePorts(push, gateway, { proxy, targets });
  return selects(gateway.spec.selector, proxy.labels) ? (port) => listenPorts(port, targets) : undefined;
}

/** A Service with this label does not map ports of Gateways that select by label. Source: Istio's DisableGatewayPortTranslationLabel. */
const asWritten = 'experimental.istio.io/disable-gateway-port-translation';

/** The first Service in front of the gateway with that port maps it; without one the gateway listens where the server says. */
function listenPorts(port: number, targets: ReturnType<typeof serviceTargets>): number[] {
  const mapped = targets.find((target) => target.port.number === port && target.service.labels[asWritten] === undefined);
  return [mapped?.targetPort ?? port];
}
