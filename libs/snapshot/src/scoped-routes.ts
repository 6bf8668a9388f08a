import type { ScopedRouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/scoped_route.ts';
import type { ScopedRoutes as ScopedRoutesMessage } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import type { Result } from '@meltemi/base';
import { checkFields, compileRouteTable, compileScopeKey, scopeKey, type RouteTable } from '@meltemi/route';
import type { ConfigSource } from './config-source-types.ts';
import { compileConfigSource } from './config-source.ts';
import { finish, newContext, perFilterParser, type Context } from './context.ts';
import type { Compiled, Extensions } from './extensions.ts';
import { scopedRdsFields, scopedRouteFields } from './listener-tables.ts';
import type { Scope, ScopedRoutes } from './listener-types.ts';

/** Compiles scoped_routes of a connection manager. */
export function compileScopedRoutes(message: ScopedRoutesMessage, { path, statPrefix }: { readonly path: string; readonly statPrefix: string }, context: Context): ScopedRoutes {
  const { report } = context;
  if (context.extensions.extensionDiscovery !== true) report.refuse(path, 'scoped routes are not supported: use rds or route_config');
  if (message.name === '') report.refuse(`${path}.name`, 'is required');
  const keyOf = compileScopeKey(message.scopeKeyBuilder, `${path}.scope_key_builder`, report);
  const routesFrom = message.rdsConfigSource ? compileConfigSource(message.rdsConfigSource, `${path}.rds_config_source`, report) : null;
  const specifier = message.configSpecifier;
  const scoped = { kind: 'scoped', name: message.name, keyOf } as const;
  if (specifier?.$case === 'scopedRds') {
    checkFields(specifier.value, scopedRdsFields, `${path}.scoped_rds`, report);
    const source = compileConfigSource(specifier.value.scopedRdsConfigSource, `${path}.scoped_rds.scoped_rds_config_source`, report);
    if (source) context.references.push({ kind: 'scopes', name: '*', source, path: `${path}.scoped_rds`, statPrefix: `http.${statPrefix}.scoped_rds.${message.name}.`, ...(routesFrom && { routesFrom }) });
    return { ...scoped, scopes: null };
  }
  if (specifier === undefined) report.refuse(path, 'needs scoped_route_configurations_list or scoped_rds');
  const at = `${path}.scoped_route_configurations_list.scoped_route_configurations`;
  const scopes = (specifier?.value.scopedRouteConfigurations ?? []).flatMap((each, i) => compileInlineScope(each, { path: `${at}[${i}]`, statPrefix, routesFrom }, context) ?? []);
  for (const [i, scope] of scopes.entries()) if (scopes.findIndex(({ key }) => key === scope.key) < i) report.refuse(`${at}[${i}].key`, 'is that of an earlier scope');
  return { ...scoped, scopes };
}

/** Compiles a scope as SRDS sends it; the routes it names come from where the connection manager says. */
export function compileScope(message: ScopedRouteConfiguration, extensions: Extensions): Result<Compiled<Scope>> {
  const context = newContext(extensions);
  return finish(context.report, compileOne(message, '', context));
}

function compileInlineScope(message: ScopedRouteConfiguration, { path, statPrefix, routesFrom }: { readonly path: string; readonly statPrefix: string; readonly routesFrom: ConfigSource | null }, context: Context): Scope | null {
  const scope = compileOne(message, path, context);
  if (scope?.routes.kind !== 'rds') return scope;
  const { name } = scope.routes;
  if (!routesFrom) context.report.refuse(`${path}.route_configuration_name`, 'needs rds_config_source, which says where it comes from');
  else context.references.push({ kind: 'routes', name, source: routesFrom, path: `${path}.route_configuration_name`, statPrefix: `http.${statPrefix}.rds.${name}.` });
  if (!message.onDemand) context.rdsNames.add(name);
  return scope;
}

function compileOne(message: ScopedRouteConfiguration, path: string, context: Context): Scope | null {
  const { report } = context;
  const under = (field: string) => (path === '' ? field : `${path}.${field}`);
  checkFields(message, scopedRouteFields, path, report);
  const { name, routeConfigurationName, routeConfiguration } = message;
  if (name === '') report.refuse(under('name'), 'is required');
  const fragments = message.key?.fragments ?? [];
  if (fragments.length === 0) report.refuse(under('key.fragments'), 'is required: which requests it is for');
  const key = scopeKey(fragments.map(({ type }, i) => {
    if (!type?.value) report.refuse(under(`key.fragments[${i}].string_key`), 'is required');
    return type?.value ?? '';
  }));
  if ((routeConfigurationName !== '') === (routeConfiguration !== undefined)) report.refuse(under('route_configuration_name'), 'one of route_configuration_name and route_configuration is needed');
  else if (routeConfiguration === undefined) return { name, key, onDemand: message.onDemand, routes: { kind: 'rds', name: routeConfigurationName } };
  const table = routeConfiguration && compileInline(routeConfiguration, under('route_configuration'), context);
  return table ? { name, key, onDemand: message.onDemand, routes: { kind: 'inline', table } } : null;
}

/** Compiles the routes that a connection manager or a scope holds itself. */
export function compileInline(message: RouteConfiguration, path: string, context: Context): RouteTable | null {
  const { report } = context;
  const table = compileRouteTable(message, perFilterParser(context, path), context.extensions.formats);
  const under = (entry: { path: string; message: string }) => ({ path: entry.path.startsWith(path) ? entry.path : `${path}.${entry.path}`, message: entry.message });
  if (!table.ok) {
    report.errors.push(...table.error.map(under));
    return null;
  }
  report.warnings.push(...table.value.warnings.map(under));
  for (const name of table.value.clusterNames) context.clusterNames.add(name);
  return table.value;
}
