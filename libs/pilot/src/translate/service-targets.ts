import { targetsAt } from '../push-context/targets-at.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { ServiceTarget } from '../registry/model.ts';
import { targetCarriedBy } from './without-http2.ts';

/** The service ports that a proxy's workload serves, oldest service first. */
export function serviceTargets(push: PushContext, proxy: Proxy): ServiceTarget[] {
  const age = (target: ServiceTarget) => `${target.service.creationTimestamp}\0${target.service.hostname}`;
  return targetsAt(push, proxy)
    .map((target) => targetCarriedBy(proxy, target))
    .toSorted((a, b) => (age(a) < age(b) ? -1 : age(a) > age(b) ? 1 : a.port.number - b.port.number));
}
