import { typeUrlPrefix, type MessageCodec } from '@meltemi/api';
import type { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { Filter, type FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { HttpConnectionManager, HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { EnvoyFilterPatch } from '../../push-context/envoy-filters.ts';
import { createAny, typed } from '../message.ts';
import { changedList, isMerge } from './lists.ts';
import { chainFits, httpFilterTest, listenerFits, networkFilterTest } from './matching.ts';
import { mergedExtension, patchesTo, typedConfig, valueOf, type Patching, type PatchReport } from './patching.ts';

const managerType = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** The network filters of a chain, and the HTTP filters inside, after their patches: first all additions and removals, then all merges. */
export function patchedFilters(patching: Patching, listener: Listener, chain: FilterChain): Filter[] {
  const here = (patch: EnvoyFilterPatch) => listenerFits(patch, listener) && chainFits(patch, listener, chain);
  const filters = patchedList(chain.filters, Filter, { patches: patchesTo(patching, 'NETWORK_FILTER').filter(here), testOf: networkFilterTest, report: patching.report });
  const inside = patchesTo(patching, 'HTTP_FILTER').filter(here);
  return inside.length === 0 ? filters : filters.map((filter) => withHttpFilters(filter, inside, patching.report));
}

interface FilterPatches<T> {
  readonly patches: readonly EnvoyFilterPatch[];
  readonly testOf: (patch: EnvoyFilterPatch) => ((filter: T) => boolean) | undefined;
  readonly report: PatchReport;
}

/** A list of named filters after patches that all fit the place. */
export function patchedList<T extends Parameters<typeof mergedExtension>[0]>(list: readonly T[], codec: MessageCodec<T>, { patches, testOf, report }: FilterPatches<T>): T[] {
  let filters = list;
  for (const patch of patches) filters = changedList(filters, { operation: patch.operation, value: () => valueOf(codec, patch), test: testOf(patch) });
  const merges = patches.filter(({ operation }) => isMerge(operation));
  if (merges.length === 0) return [...filters];
  return filters.map((filter) => {
    let current = filter;
    for (const patch of merges) if (testOf(patch)?.(current) ?? true) current = mergedExtension(current, valueOf(codec, patch), { patch, report });
    return current;
  });
}

function withHttpFilters(filter: Filter, patches: readonly EnvoyFilterPatch[], report: PatchReport): Filter {
  const manager = managerOf(filter);
  const fitting = patches.filter((patch) => networkFilterTest(patch)?.(filter) ?? true);
  if (!manager || fitting.length === 0) return filter;
  return withManager(filter, { ...manager, httpFilters: patchedList(manager.httpFilters, HttpFilter, { patches: fitting, testOf: httpFilterTest, report }) });
}

/** The HTTP connection manager of a network filter, decoded. */
export function managerOf(filter: Filter): HttpConnectionManager | undefined {
  const config = typedConfig(filter);
  return config?.typeUrl === `${typeUrlPrefix}${managerType}` ? HttpConnectionManager.decode(config.value) : undefined;
}

export function withManager(filter: Filter, manager: HttpConnectionManager): Filter {
  return typed(filter.name, createAny(managerType, HttpConnectionManager, manager));
}
