import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { ScopedRouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/scoped_route.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { compileCluster, compileFilterConfig, compileListener, compileLoadAssignment, compileRouteConfiguration, compileScope, compileSecret, type Extensions, type Reference, type Scope } from '@meltemi/snapshot';
import type { ModuleSource } from '../modules/module-host.ts';
import { namesModule, withModules, type ModuleLoader } from '../modules/module-loader.ts';
import type { ResourceKind } from './worker-messages.ts';

export interface Compiler {
  readonly extensions: Extensions;
  /** Finds users' filters; unset = none is loaded, and what names one is refused. */
  readonly modules?: ModuleLoader;
}

/** What the control thread needs to know of a good resource; the runtime forms themselves are the workers'. */
export interface CompiledResource {
  readonly warnings: readonly FieldError[];
  /** What must come from elsewhere: endpoints, routes, secrets. */
  readonly references: readonly Reference[];
  /** Secrets it names, with or without a source. */
  readonly sdsNames: ReadonlySet<string>;
  /** The users' filters it names: go with it to the workers. */
  readonly modules: readonly ModuleSource[];
  /** Of the config of a filter: its type. */
  readonly typeUrl?: string;
  /** Of a scope: which requests it is for. */
  readonly scopeKey?: string;
}

const none: ReadonlySet<string> = new Set();

/** Decodes and compiles one resource as the workers will; the error says by field path what this proxy refuses. */
export function compileResource(compiler: Compiler, kind: ResourceKind, resource: { readonly value: Uint8Array }): Result<CompiledResource> {
  try {
    const used = new Map<string, ModuleSource>();
    const compiled = compile(extensionsFor(compiler, resource.value, used), kind, resource.value);
    return compiled.ok && used.size > 0 ? ok({ ...compiled.value, modules: [...used.values()] }) : compiled;
  } catch (cause) {
    return err([{ path: '', message: `cannot be decoded: ${cause instanceof Error ? cause.message : String(cause)}` }]);
  }
}

/** With the users' filters that this resource names; their sources are left in `used`. */
export function extensionsFor({ extensions, modules }: Compiler, resource: Uint8Array, used = new Map<string, ModuleSource>()): Extensions {
  return modules === undefined || !namesModule(resource) ? extensions : withModules(extensions, (ref) => modules.load(ref, used));
}

function compile(extensions: Extensions, kind: ResourceKind, bytes: Uint8Array): Result<CompiledResource> {
  switch (kind) {
    case 'clusters': {
      const cluster = compileCluster(Cluster.decode(bytes), extensions);
      return cluster.ok ? ok({ warnings: cluster.value.warnings, references: cluster.value.value.references, sdsNames: cluster.value.value.sdsNames, modules: [] }) : cluster;
    }
    case 'listeners': {
      const listener = compileListener(Listener.decode(bytes), extensions);
      return listener.ok ? ok({ warnings: listener.value.warnings, references: listener.value.value.references, sdsNames: listener.value.value.sdsNames, modules: [] }) : listener;
    }
    case 'endpoints':
      return plain(compileLoadAssignment(ClusterLoadAssignment.decode(bytes)));
    case 'routes':
      return plain(compileRouteConfiguration(RouteConfiguration.decode(bytes), extensions));
    case 'scopes': {
      const scope = compileScope(ScopedRouteConfiguration.decode(bytes), extensions);
      return scope.ok ? ok({ warnings: scope.value.warnings, references: routesOf(scope.value.value), sdsNames: none, modules: [], scopeKey: scope.value.value.key }) : scope;
    }
    case 'extensions': {
      const config = compileFilterConfig(TypedExtensionConfig.decode(bytes), extensions);
      return config.ok ? ok({ warnings: config.value.warnings, references: [], sdsNames: none, modules: [], typeUrl: config.value.value.typeUrl }) : config;
    }
    case 'secrets':
      return plain(compileSecret(Secret.decode(bytes)));
  }
}

/** Where they come from is not the scope's to say: see DynamicConfig. */
function routesOf({ routes }: Scope): Reference[] {
  if (routes.kind === 'inline') return [];
  const source = { spec: { kind: 'self' as const }, key: 'self', initialFetchTimeoutMs: 0 };
  return [{ kind: 'routes', name: routes.name, source, path: 'route_configuration_name', statPrefix: `scoped_rds.rds.${routes.name}.` }];
}

function plain(result: Result<{ readonly warnings: readonly FieldError[] }>): Result<CompiledResource> {
  return result.ok ? ok({ warnings: result.value.warnings, references: [], sdsNames: none, modules: [] }) : result;
}
