import {
  readPatchValue, type Config, type ConfigKey, type EnvoyApplyTo, type EnvoyConfigObjectMatch, type EnvoyConfigObjectPatch, type EnvoyFilterSpec, type EnvoyPatchOperation,
} from '@meltemi/config';
import { compileRegex, type SafeRegex } from '@meltemi/match';
import type { Features } from '../features.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { attaches, type Attachment } from './workload-policies.ts';

/** One change of one EnvoyFilter, its value read. */
export interface EnvoyFilterPatch {
  readonly key: ConfigKey;
  /** "spec.configPatches[0]" */
  readonly path: string;
  /** "namespace/name spec.configPatches[0]" */
  readonly id: string;
  readonly applyTo: EnvoyApplyTo;
  readonly operation: EnvoyPatchOperation;
  readonly match: EnvoyConfigObjectMatch;
  /** The encoded message; empty for removals. */
  readonly value: Uint8Array;
}

interface IndexedPatch extends EnvoyFilterPatch {
  /** Null: whatever the proxy's version. */
  readonly version: SafeRegex | null;
}

interface IndexedFilter {
  readonly attachment: Attachment;
  readonly patches: readonly IndexedPatch[];
}

/** All EnvoyFilters in the order they apply: by priority, then the root namespace's first, then the oldest. */
export interface EnvoyFilterIndex {
  readonly rootNamespace: string;
  readonly features: Pick<Features, 'selectorPoliciesOnGateways'>;
  readonly filters: readonly IndexedFilter[];
}

/** The changes for one proxy. Equal keys mean equal changes, within one index. */
export interface PatchSet {
  readonly key: string;
  readonly patches: readonly EnvoyFilterPatch[];
}

export const noPatches: PatchSet = { key: '', patches: [] };

/** Reads the patches' values; those that cannot be read (validation warned of them) are left out alone. */
export function indexEnvoyFilters(configs: readonly Config<EnvoyFilterSpec>[], { rootNamespace, features }: Omit<EnvoyFilterIndex, 'filters'>): EnvoyFilterIndex {
  const inRoot = (config: Config) => (config.meta.namespace === rootNamespace ? 0 : 1);
  const age = ({ meta }: Config) => `${meta.creationTimestamp}\0${meta.name}.${meta.namespace}`;
  const ordered = configs.toSorted((a, b) => a.spec.priority - b.spec.priority || inRoot(a) - inRoot(b) || (age(a) < age(b) ? -1 : 1));
  return { rootNamespace, features, filters: ordered.map(indexed) };
}

const known = new WeakMap<Config, IndexedFilter>();

function indexed(config: Config<EnvoyFilterSpec>): IndexedFilter {
  let filter = known.get(config);
  if (!filter) {
    const { meta, spec } = config;
    const attachment = { namespace: meta.namespace, selector: spec.workloadSelector?.labels ?? {}, references: spec.targetRefs };
    filter = { attachment, patches: spec.configPatches.flatMap((patch, index) => readPatch(config.key, patch, index) ?? []) };
    known.set(config, filter);
  }
  return filter;
}

/** Only these insert at a place; for the others an insertion is an addition, as in Istio. */
const ordered: ReadonlySet<EnvoyApplyTo> = new Set<EnvoyApplyTo>(['HTTP_FILTER', 'NETWORK_FILTER', 'HTTP_ROUTE', 'LISTENER_FILTER']);

function readPatch(key: ConfigKey, { applyTo, match, patch }: EnvoyConfigObjectPatch, index: number): IndexedPatch | undefined {
  if (match?.context === 'WAYPOINT') return undefined;
  const value = patch.operation === 'REMOVE' ? undefined : readPatchValue(applyTo, patch.value ?? {});
  if (value !== undefined && value.state !== 'read') return undefined;
  const wanted = match?.proxy?.proxyVersion ?? '';
  const version = wanted === '' ? undefined : compileRegex(`(?s:.*)(?:${wanted})(?s:.*)`);
  // a version nobody can compare fits no proxy
  if (version && !version.ok) return undefined;
  const path = `spec.configPatches[${index}]`;
  return {
    key, path, applyTo,
    id: `${key.namespace}/${key.name} ${path}`,
    operation: patch.operation.startsWith('INSERT_') && !ordered.has(applyTo) ? 'ADD' : patch.operation,
    match: match ?? { context: 'ANY' },
    value: value?.bytes ?? new Uint8Array(0),
    version: version?.value ?? null,
  };
}

const sets = new WeakMap<EnvoyFilterIndex, WeakMap<object, PatchSet>>();

/** The patches for a proxy, in order. */
export function patchesFor(index: EnvoyFilterIndex, proxy: Proxy): PatchSet {
  if (index.filters.length === 0 || proxy.proxyless) return noPatches;
  let byProxy = sets.get(index);
  if (!byProxy) sets.set(index, (byProxy = new WeakMap()));
  let set = byProxy.get(proxy);
  if (!set) {
    const patches = index.filters.filter(({ attachment }) => (attachment.namespace === proxy.namespace || attachment.namespace === index.rootNamespace) && attaches(attachment, proxy, index.features)).flatMap((filter) => filter.patches.filter((patch) => fitsProxy(patch, proxy)));
    set = patches.length === 0 ? noPatches : { key: patches.map(({ id }) => id).join(), patches };
    byProxy.set(proxy, set);
  }
  return set;
}

function fitsProxy({ version, match }: IndexedPatch, proxy: Proxy): boolean {
  if (version && (proxy.istioVersion === '' || !version.matchesAll(proxy.istioVersion))) return false;
  return Object.entries(match.proxy?.metadata ?? {}).every(([name, value]) => proxy.metadata[name] === value);
}
