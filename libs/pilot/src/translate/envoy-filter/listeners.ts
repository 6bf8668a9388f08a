import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { FilterChain, ListenerFilter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import type { EnvoyFilterPatch } from '../../push-context/envoy-filters.ts';
import { managerOf, patchedFilters, patchedList, withManager } from './filters.ts';
import { isMerge } from './lists.ts';
import { chainFits, listenerFilterTest, listenerFits } from './matching.ts';
import { merged, mergedExtension, patchesTo, valueOf, type Patching } from './patching.ts';
import { patchedRoutes } from './routes.ts';

/** A listener after its patches; undefined when one removes it. */
export function patchedListener(patching: Patching, original: Listener): Listener | undefined {
  let listener = withInlineRoutes(patching, original);
  for (const patch of patchesTo(patching, 'LISTENER').filter((candidate) => listenerFits(candidate, listener))) {
    if (patch.operation === 'REMOVE') return undefined;
    if (isMerge(patch.operation)) listener = merged(Listener, listener, patch);
  }
  const here = (patch: EnvoyFilterPatch) => listenerFits(patch, listener);
  const additions = patchesTo(patching, 'FILTER_CHAIN').filter((patch) => patch.operation === 'ADD' && here(patch));
  const { defaultFilterChain } = listener;
  return {
    ...listener,
    listenerFilters: patchedList(listener.listenerFilters, ListenerFilter, { patches: patchesTo(patching, 'LISTENER_FILTER').filter(here), testOf: listenerFilterTest, report: patching.report }),
    filterChains: [...listener.filterChains.flatMap((chain) => patchedChain(patching, listener, chain) ?? []), ...additions.map((patch) => valueOf(FilterChain, patch))],
    defaultFilterChain: defaultFilterChain && patchedChain(patching, listener, defaultFilterChain),
  };
}

/** Listeners that patches add. Without a context they are added once: to a gateway, or outbound to a sidecar. */
export function addedListeners(patching: Patching): readonly EnvoyFilterPatch[] {
  return patchesTo(patching, 'LISTENER').filter(({ operation, match }) => operation === 'ADD' && (match.context !== 'ANY' || patching.context !== 'SIDECAR_INBOUND'));
}

function patchedChain(patching: Patching, listener: Listener, original: FilterChain): FilterChain | undefined {
  let chain = original;
  for (const patch of patchesTo(patching, 'FILTER_CHAIN')) {
    if (!listenerFits(patch, listener) || !chainFits(patch, listener, chain)) continue;
    if (patch.operation === 'REMOVE') return undefined;
    if (isMerge(patch.operation)) chain = mergedChain(patching, chain, patch);
  }
  return { ...chain, filters: patchedFilters(patching, listener, chain) };
}

/** A transport socket of the chain's own kind merges into it, another takes its place. */
function mergedChain({ report }: Patching, chain: FilterChain, patch: EnvoyFilterPatch): FilterChain {
  const socket = valueOf(FilterChain, patch).transportSocket;
  const result = merged(FilterChain, chain, patch);
  if (!socket || chain.transportSocket?.name !== socket.name) return result;
  return { ...result, transportSocket: mergedExtension(chain.transportSocket, socket, { patch, report }) };
}

/** A sidecar's inbound routes stand in its listeners. */
function withInlineRoutes(patching: Patching, listener: Listener): Listener {
  const routePatches = (['ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE'] as const).some((target) => patchesTo(patching, target).length > 0);
  if (!routePatches || patching.context !== 'SIDECAR_INBOUND') return listener;
  const withRoutes = (chain: FilterChain): FilterChain => ({
    ...chain,
    filters: chain.filters.map((filter) => {
      const manager = managerOf(filter);
      if (manager?.routeSpecifier?.$case !== 'routeConfig') return filter;
      return withManager(filter, { ...manager, routeSpecifier: { $case: 'routeConfig', value: patchedRoutes(patching, manager.routeSpecifier.value) } });
    }),
  });
  return { ...listener, filterChains: listener.filterChains.map(withRoutes), defaultFilterChain: listener.defaultFilterChain && withRoutes(listener.defaultFilterChain) };
}
