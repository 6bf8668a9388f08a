import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { ScopedRouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/scoped_route.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { formatFieldErrors, type FieldError, type Result } from '@meltemi/base';
import { compileCluster, compileFilterConfig, compileListener, compileLoadAssignment, compileRouteConfiguration, compileScope, compileSecret, type Extensions } from '@meltemi/snapshot';
import { loadFrom, withModules } from '../modules/module-loader.ts';
import type { ResourceKind, ResourceUpdate, WireResource, WorkerRefusal } from '../control/worker-messages.ts';
import type { WorkerServer } from '../server/worker-server.ts';

/**
 * Puts an update in force in this worker: first what others refer to, then what refers to it, removals last and the other way round.
 * Everything but the listeners' warming is done when the first promise tick ends, so that updates keep their order.
 */
export async function applyUpdate(server: WorkerServer, extensions: Extensions, update: ResourceUpdate): Promise<WorkerRefusal[]> {
  const refusals: WorkerRefusal[] = [];
  const each = (kind: ResourceKind, apply: (bytes: Uint8Array, name: string, own: Extensions) => Result<unknown>) => {
    for (const resource of update[kind].set) note(refusals, kind, resource, () => apply(resource.bytes, resource.name, extensionsFor(resource, extensions)));
  };
  each('secrets', (bytes, name) => then(compileSecret(Secret.decode(bytes)), ({ value }) => server.setSecret(name, value.value)));
  each('clusters', (bytes) => then(compileCluster(Cluster.decode(bytes), extensions), ({ value }) => server.setCluster(value)));
  each('endpoints', (bytes, name) => then(compileLoadAssignment(ClusterLoadAssignment.decode(bytes)), ({ value }) => done(server.setEndpoints(name, value))));
  each('routes', (bytes, name, own) => then(compileRouteConfiguration(RouteConfiguration.decode(bytes), own), ({ value }) => done(server.setRouteTable(name, value))));
  each('scopes', (bytes, name, own) => then(compileScope(ScopedRouteConfiguration.decode(bytes), own), ({ value }) => done(server.setScope(name, value))));
  each('extensions', (bytes, name, own) => then(compileFilterConfig(TypedExtensionConfig.decode(bytes), own), ({ value }) => done(server.setFilterConfig(name, value))));
  const warming = update.listeners.set.map((resource) => activate(server, extensions, resource, refusals));
  const leaving = update.listeners.removed.map((name) => server.removeListener(name));
  for (const name of update.scopes.removed) server.setScope(name, null);
  for (const name of update.routes.removed) server.setRouteTable(name, null);
  for (const name of update.extensions.removed) server.setFilterConfig(name, null);
  for (const name of update.clusters.removed) server.removeCluster(name);
  for (const name of update.endpoints.removed) server.setEndpoints(name, null);
  for (const name of update.secrets.removed) server.removeSecret(name);
  await Promise.all([...warming, ...leaving]);
  return refusals;
}

async function activate(server: WorkerServer, extensions: Extensions, resource: WireResource, refusals: WorkerRefusal[]): Promise<void> {
  try {
    const compiled = compileListener(Listener.decode(resource.bytes), extensionsFor(resource, extensions));
    const result = compiled.ok ? await server.setListener(compiled.value.value) : compiled;
    if (!result.ok) refuse(refusals, 'listeners', resource.name, result.error);
  } catch (cause) {
    refuse(refusals, 'listeners', resource.name, [{ path: '', message: text(cause) }]);
  }
}

/** With the users' filters that came along. */
function extensionsFor({ modules }: WireResource, extensions: Extensions): Extensions {
  return modules === undefined || modules.length === 0 ? extensions : { ...withModules(extensions, loadFrom(modules)), version: modules.map(({ url }) => url).join(' ') };
}

function note(refusals: WorkerRefusal[], kind: ResourceKind, resource: WireResource, apply: () => Result<unknown>): void {
  try {
    const result = apply();
    if (!result.ok) refuse(refusals, kind, resource.name, result.error);
  } catch (cause) {
    refuse(refusals, kind, resource.name, [{ path: '', message: text(cause) }]);
  }
}

function refuse(refusals: WorkerRefusal[], kind: ResourceKind, name: string, errors: readonly FieldError[]): void {
  refusals.push({ kind, name, message: formatFieldErrors(errors) });
}

function then<T>(result: Result<T>, next: (value: T) => Result<unknown>): Result<unknown> {
  return result.ok ? next(result.value) : result;
}

function done(_nothing: void): Result<unknown> {
  return { ok: true, value: undefined };
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
