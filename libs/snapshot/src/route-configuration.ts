import type { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import type { Result } from '@meltemi/base';
import { compileRouteTable, type RouteTable } from '@meltemi/route';
import { finish, newContext, perFilterParser } from './context.ts';
import type { Compiled, Extensions } from './extensions.ts';

/** Compiles a RouteConfiguration as RDS sends it, per-route filter settings included. */
export function compileRouteConfiguration(message: RouteConfiguration, extensions: Extensions): Result<Compiled<RouteTable>> {
  const context = newContext(extensions);
  if (message.name === '') context.report.refuse('name', 'is required');
  const table = context.report.take(compileRouteTable(message, perFilterParser(context), context.extensions.formats), null);
  if (table) context.report.warnings.push(...table.warnings);
  return finish(context.report, table);
}
