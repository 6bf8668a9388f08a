import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { typeNameOf, typeUrlPrefix } from '@meltemi/api';
import { xdsResource, xdsType, type XdsResource } from '@meltemi/xds';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { lastValue } from '../cache.ts';
import { hasRoutePatches, withRoutePatches } from '../envoy-filter/patched.ts';
import { proxylessRoutes } from '../proxyless.ts';
import { routeClusters } from '../references.ts';
import { gatewayRoutes } from './gateway-routes.ts';
import { sidecarRoutes } from './sidecar-routes.ts';
import { clustersOfTable, encodedTable, tableMessage, type TableParts } from './table-parts.ts';

/** A route table for `proxy`, by the name its listeners call it; undefined when it has none. `view` stands for the proxy; a table that did not change stays the same object. */
export function routeResource(push: PushContext, proxy: Proxy, scope: Scope, { name, view }: { readonly name: string; readonly view: number }): XdsResource | undefined {
  const slot = lastValue<XdsResource>(scope.reach, `last-table ${view} ${name}`, proxy.type === 'router' ? proxy : undefined);
  const made = make(push, proxy, scope, name);
  if (!made) return undefined;
  if (slot.last?.version !== made.version) slot.last = made;
  return slot.last;
}

const tables = new WeakMap<XdsResource, TableParts>();

/** The parts that a table was put together from, when it was. */
export function partsOf(resource: XdsResource): TableParts | undefined {
  return tables.get(resource);
}

function make(push: PushContext, proxy: Proxy, scope: Scope, name: string): XdsResource | undefined {
  if (proxy.proxyless) return fromMessage(proxylessRoutes(push, proxy, scope, name));
  const table = proxy.type === 'router' ? gatewayRoutes(push, proxy, scope, name) : sidecarRoutes(push, proxy, scope, name);
  if (!table) return undefined;
  if (hasRoutePatches(push, proxy)) return fromMessage(withRoutePatches(push, proxy, tableMessage(table)));
  const resource = assembled(name, table);
  tables.set(resource, table);
  return resource;
}

/** A table of thousands of hosts that other tables have, too: its bytes are put together when somebody asks for them, and are the same for all who wait for them; the collector takes them afterwards. */
function assembled(name: string, table: TableParts): XdsResource {
  const { any: first, ...resource } = encoded(name, encodedTable(table), () => clustersOfTable(table));
  const { typeUrl } = first;
  let kept = new WeakRef(first.value);
  return {
    ...resource,
    get any() {
      const value = kept.deref() ?? encodedTable(table);
      if (kept.deref() !== value) kept = new WeakRef(value);
      return { typeUrl, value };
    },
  };
}

/** Where it points is found out once, from the bytes, so that the message is not kept. */
function fromMessage(table: RouteConfiguration | undefined): XdsResource | undefined {
  if (!table) return undefined;
  const bytes = Buffer.from(RouteConfiguration.encode(table).finish());
  return encoded(table.name, bytes, () => routeClusters(RouteConfiguration.decode(bytes)));
}

function encoded(name: string, value: Buffer, pointsAt: () => ReadonlySet<string>): XdsResource {
  let clusters: ReadonlySet<string> | undefined;
  return xdsResource(name, { typeUrl: typeUrlPrefix + typeNameOf(xdsType.route), value }, () => (clusters ??= pointsAt()));
}
