import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import type { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import type { FieldError } from '@meltemi/base';
import { compileCluster, compileListener, compileRouteConfiguration } from '@meltemi/snapshot';
import { patchesFor, type EnvoyFilterPatch } from '../../push-context/envoy-filters.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { gatewayListeners } from '../gateway-servers.ts';
import { inboundPorts } from '../inbound-ports.ts';
import { admitted, refusals, reportTo } from './admission.ts';
import { addedClusters, patchedCluster } from './clusters.ts';
import { addedListeners, patchedListener } from './listeners.ts';
import { valueOf, type PatchContext, type Patching, type PatchReport } from './patching.ts';
import { patchedRoutes } from './routes.ts';
import { runnable } from './runnable.ts';

/** Which side of a sidecar a resource is for; a gateway has one. */
export type Side = 'inbound' | 'outbound';

/** The listeners of one side after the EnvoyFilters of the proxy, those they add included. */
export function withListenerPatches(push: PushContext, proxy: Proxy, side: Side, listeners: readonly Listener[]): readonly Listener[] {
  const run = runOf(push, proxy, { side, from: side === 'inbound' ? push.base : push.shape });
  if (!run) return listeners;
  const judge = judgeOf(proxy, (listener: Listener) => refusals(compileListener(listener, runnable)));
  const relevant = run.patches.filter(({ applyTo }) => applyTo !== 'CLUSTER');
  const result = listeners.flatMap((listener) => patchedOrGone({ run, relevant, judge, apply: (patching) => patchedListener(patching, listener) }));
  return withAdditions(run, result, { added: addedListeners(run), read: (patch) => valueOf(Listener, patch), judge });
}

/** Whether any EnvoyFilter may change the route tables of the proxy. */
export function hasRoutePatches(push: PushContext, proxy: Proxy): boolean {
  return patchesFor(push.envoyFilters, proxy).patches.some(isForRoutes);
}

const isForRoutes = ({ applyTo }: EnvoyFilterPatch) => applyTo === 'ROUTE_CONFIGURATION' || applyTo === 'VIRTUAL_HOST' || applyTo === 'HTTP_ROUTE';

/** A route table of a gateway, or outbound of a sidecar. */
export function withRoutePatches(push: PushContext, proxy: Proxy, table: RouteConfiguration): RouteConfiguration {
  const run = runOf(push, proxy, { side: 'outbound', from: push.shape });
  const relevant = run?.patches.filter(isForRoutes) ?? [];
  if (!run || relevant.length === 0) return table;
  const servers = proxy.type === 'router' ? gatewayListeners(push, proxy).flatMap((place) => place.servers.filter(({ routeName }) => routeName === table.name)) : [];
  const serverPorts = servers.map(({ server }) => server.port.number);
  return admitted({
    patches: relevant,
    apply: (patches, report) => patchedRoutes({ ...run, patches, report }, table, serverPorts),
    judge: judgeOf(proxy, (routes) => refusals(compileRouteConfiguration(routes, runnable))),
    report: run.report,
  });
}

/** The clusters of one side, those that EnvoyFilters add included. */
export function withClusterPatches(push: PushContext, proxy: Proxy, side: Side, clusters: readonly Cluster[]): readonly Cluster[] {
  const run = runOf(push, proxy, { side, from: push.base });
  const relevant = run?.patches.filter(({ applyTo }) => applyTo === 'CLUSTER') ?? [];
  if (!run || relevant.length === 0) return clusters;
  const ports = new Map(side === 'inbound' ? inboundPorts(push, proxy).map(({ targetPort, services }) => [targetPort, services.map(({ hostname }) => hostname)]) : []);
  const judge = judgeOf(proxy, (cluster: Cluster) => refusals(compileCluster(cluster, runnable)));
  const result = clusters.flatMap((cluster) => patchedOrGone({ run, relevant, judge, apply: (patching) => patchedCluster(patching, cluster, (port) => ports.get(port) ?? []) }));
  return withAdditions(run, result, { added: addedClusters(run), read: (patch) => valueOf(Cluster, patch), judge });
}

function runOf(push: PushContext, proxy: Proxy, { side, from }: { readonly side: Side; readonly from: object }): Patching | undefined {
  const { patches } = patchesFor(push.envoyFilters, proxy);
  if (patches.length === 0 || (proxy.type === 'router' && side === 'inbound')) return undefined;
  const context: PatchContext = proxy.type === 'router' ? 'GATEWAY' : side === 'inbound' ? 'SIDECAR_INBOUND' : 'SIDECAR_OUTBOUND';
  // What is kept while only VirtualServices change is told of once: in its context's base.
  return { context, patches, report: reportTo(from) };
}

/** Whether any EnvoyFilter is for the proxy. */
export function hasPatches(push: PushContext, proxy: Proxy): boolean {
  return patchesFor(push.envoyFilters, proxy).patches.length > 0;
}

/** Only of our own proxy is it known what it refuses; Envoy may run what ours does not. */
function judgeOf<T>(proxy: Proxy, judge: (result: T) => readonly FieldError[]): ((result: T) => readonly FieldError[]) | undefined {
  return proxy.meltemi ? judge : undefined;
}

interface OneResource<T> {
  readonly run: Patching;
  readonly relevant: readonly EnvoyFilterPatch[];
  readonly judge: ((result: T) => readonly FieldError[]) | undefined;
  readonly apply: (patching: Patching) => T | undefined;
}

function patchedOrGone<T>({ run, relevant, judge, apply }: OneResource<T>): T[] {
  const result = admitted<T | undefined>({
    patches: relevant,
    apply: (patches, report) => apply({ ...run, patches, report }),
    judge: judge && ((resource) => (resource === undefined ? [] : judge(resource))),
    report: run.report,
  });
  return result === undefined ? [] : [result];
}

interface Additions<T> {
  readonly added: readonly EnvoyFilterPatch[];
  readonly read: (patch: EnvoyFilterPatch) => T;
  readonly judge: ((result: T) => readonly FieldError[]) | undefined;
}

function withAdditions<T extends { readonly name: string }>(run: { readonly report: PatchReport }, resources: readonly T[], { added, read, judge }: Additions<T>): readonly T[] {
  const names = new Set(resources.map(({ name }) => name));
  const result = [...resources];
  for (const patch of added) {
    const resource = read(patch);
    const [problem] = names.has(resource.name) ? [{ path: 'name', message: `"${resource.name}" is there already` }] : (judge?.(resource) ?? []);
    if (problem) {
      run.report(patch, `${problem.path} ${problem.message}`);
      continue;
    }
    names.add(resource.name);
    result.push(resource);
  }
  return result;
}
