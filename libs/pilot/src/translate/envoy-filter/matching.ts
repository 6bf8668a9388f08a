import { currentFilterName } from '@meltemi/config';
import type { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import type { FilterChain, ListenerFilter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { wellKnownListeners } from '@meltemi/xds';
import type { EnvoyFilterPatch } from '../../push-context/envoy-filters.ts';

/** Source of all rules here: Istio's envoyfilter/listener_patch.go. */
export function listenerFits({ applyTo, match: { listener: match } }: EnvoyFilterPatch, listener: Listener): boolean {
  if (!match) return true;
  if (match.name !== '' && match.name !== listener.name) return false;
  // in a virtual listener the port is the filter chain's
  if (match.portNumber === 0 || (applyTo !== 'LISTENER' && isVirtual(listener))) return true;
  const address = listener.address?.address;
  return address?.$case === 'socketAddress' && address.value.portSpecifier?.$case === 'portValue' && address.value.portSpecifier.value === match.portNumber;
}

function isVirtual({ name }: Listener): boolean {
  return name === wellKnownListeners.inbound || name === wellKnownListeners.outbound;
}

/** Of a chain whose listener fits. */
export function chainFits({ match: { listener: match } }: EnvoyFilterPatch, listener: Listener, chain: FilterChain): boolean {
  if (!match) return true;
  const own = chain.filterChainMatch;
  if (isVirtual(listener) && match.portNumber > 0 && own?.destinationPort !== match.portNumber) return false;
  const wanted = match.filterChain;
  if (!wanted) return true;
  return (
    (wanted.name === '' || wanted.name === chain.name) &&
    (wanted.sni === '' || own?.serverNames.includes(wanted.sni) === true) &&
    (wanted.transportProtocol === '' || own?.transportProtocol === wanted.transportProtocol) &&
    (wanted.applicationProtocols === '' || wanted.applicationProtocols.split(',').every((name) => own?.applicationProtocols.includes(name) === true)) &&
    (wanted.destinationPort === 0 || own?.destinationPort === wanted.destinationPort)
  );
}

/** undefined: the patch names no listener filter. */
export function listenerFilterTest({ match: { listener } }: EnvoyFilterPatch): ((filter: ListenerFilter) => boolean) | undefined {
  return listener && listener.listenerFilter !== '' ? named('listener', listener.listenerFilter) : undefined;
}

/** undefined: the patch names no network filter. */
export function networkFilterTest({ match: { listener } }: EnvoyFilterPatch): ((filter: { readonly name: string }) => boolean) | undefined {
  const filter = listener?.filterChain?.filter;
  return filter ? named('network', filter.name) : undefined;
}

/** undefined: the patch names no HTTP filter. */
export function httpFilterTest({ match: { listener } }: EnvoyFilterPatch): ((filter: { readonly name: string }) => boolean) | undefined {
  const filter = listener?.filterChain?.filter?.subFilter;
  return filter ? named('http', filter.name) : undefined;
}

function named(kind: 'http' | 'network' | 'listener', wanted: string): (filter: { readonly name: string }) => boolean {
  const name = currentFilterName(kind, wanted);
  return (filter) => currentFilterName(kind, filter.name) === name;
}
