import type { Config, GatewaySpec } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { ServiceTarget } from '../registry/model.ts';
import { gatewayNameLabel, notes } from './names.ts';

/** Where a Gateway's server port is listened on by the proxies it takes. */
export type PortResolver = (port: number) => readonly number[];

/** True for Gateways that were made from the Gateway API: they name Services, not labels. */
export function selectsByService({ meta }: Config<GatewaySpec>): boolean {
  return meta.annotations[notes.gatewayService] !== undefined;
}

/**
 * How a Gateway that names Services of its namespace takes `proxy`; undefined when it does not. It takes their workloads, at target ports only; or, when nobody
 * wrote down the Service of an automated deployment, the workloads that say by label that they are of this Gateway, at the ports as written.
 */
export function servicePorts(push: PushContext, gateway: Config<GatewaySpec>, { proxy, targets }: { readonly proxy: Proxy; readonly targets: readonly ServiceTarget[] }): PortResolver | undefined {
  const { annotations, namespace } = gateway.meta;
  const home = annotations[notes.parentNamespace] ?? namespace;
  const hosts = (annotations[notes.gatewayService] ?? '').split(',');
  const own = targets.filter(({ service }) => service.namespace === home && hosts.includes(service.hostname));
  if (own.length > 0) return (port) => targetPorts(own, port);
  const services = push.services.all.filter((service) => service.namespace === home && hosts.includes(service.hostname));
  const name = annotations[notes.gatewayName];
  const says = name !== undefined && proxy.namespace === home && (proxy.labels[gatewayNameLabel] === name || proxy.labels['istio.io/gateway-name'] === name);
  return says && services.length === 0 ? (port) => [port] : undefined;
}

function targetPorts(targets: readonly ServiceTarget[], port: number): number[] {
  return [...new Set(targets.filter((target) => target.port.number === port).map((target) => target.targetPort))];
}
