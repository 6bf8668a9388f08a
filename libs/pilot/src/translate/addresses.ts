import type { PushContext } from '../push-context/push-context.ts';
import type { Families, Proxy } from '../proxy/proxy.ts';
import type { Service } from '../registry/model.ts';

/** 0.0.0.0, or ::, or both for a proxy with both families: the first is the listener's, others are added. */
export function wildcards(families: Families): readonly [string, ...string[]] {
  if (!families.v4) return ['::'];
  return families.v6 ? ['0.0.0.0', '::'] : ['0.0.0.0'];
}

/** 127.0.0.1 and its like. */
export function localhosts(families: Families): readonly [string, ...string[]] {
  if (!families.v4) return ['::1'];
  return families.v6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
}

/**
 * The addresses by which `proxy` knows a service, in groups: each group is one listener. A Kubernetes Service is one, each address of a
 * ServiceEntry its own. Empty when it has none that this proxy could use. Source: Istio's GetAddressForProxy.
 */
export function addressGroups(push: PushContext, proxy: Proxy, service: Service): readonly (readonly [string, ...string[]])[] {
  const families = proxy.families;
  if (service.registry === 'service-entry' && service.addresses.length > 0) return service.addresses.map((address) => [wholeAddress(address)]);
  const known = service.addresses.length > 0 ? service.addresses : proxy.dnsCapture && push.features.ipAutoallocate ? service.autoAddresses : [];
  const [first, ...others] = known.filter((address) => (isV6(address) ? families.v6 : families.v4));
  if (first !== undefined) return [[first, ...others]];
  const [any] = service.addresses;
  return any === undefined ? [] : [[any]];
}

/** All of them, without blocks. */
export function serviceAddresses(push: PushContext, proxy: Proxy, service: Service): string[] {
  return addressGroups(push, proxy, service).flat().filter((address) => !address.includes('/'));
}

/** A block of one address is that address. */
function wholeAddress(address: string): string {
  const [prefix = '', bits] = address.split('/');
  return bits === (isV6(prefix) ? '128' : '32') ? prefix : address;
}

export function isV6(address: string): boolean {
  return address.includes(':');
}
