import { bufferOf, fieldHeader } from '@meltemi/api';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { VirtualHost, VirtualHost_TlsRequirementType, type Route } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { together } from '../cache.ts';
import { create } from '../message.ts';
import { clustersOfRoutes } from '../references.ts';

/** The routes of one rule or service, encoded. Tables of thousands of hosts are put together from these; the messages are not kept. */
export interface RoutesPart {
  /** As they stand in a VirtualHost. */
  readonly bytes: Buffer;
  readonly count: number;
  /** What they send or mirror to. */
  readonly clusters: ReadonlySet<string>;
}

/** A virtual host of a table. */
export interface HostPart {
  readonly name: string;
  readonly domains: readonly string[];
  readonly routes: RoutesPart;
  /** Plain requests are redirected to https. */
  readonly httpsOnly?: boolean;
}

/** A route table whose hosts are encoded already, most of them for an earlier table. */
export interface TableParts {
  readonly hosts: readonly HostPart[];
  /** All of the table but its hosts. */
  readonly about: RouteConfiguration;
  /** Of every host: retries are counted in a header. */
  readonly countsAttempts: boolean;
}

/** Field 3 of VirtualHost, which a message of nothing else is. */
export function routesPart(routes: readonly Route[]): RoutesPart {
  const bytes = VirtualHost.encode(create(VirtualHost, { routes: [...routes] })).finish();
  return { bytes: bufferOf(bytes), count: routes.length, clusters: clustersOfRoutes(routes) };
}

const hostParts = new WeakMap<RoutesPart, Map<string, HostPart>>();

/** A host of a table: the same object for the same content. */
export function hostPart(host: HostPart): HostPart {
  const known = hostParts.get(host.routes) ?? new Map<string, HostPart>();
  hostParts.set(host.routes, known);
  const key = `${host.name}\0${String(host.httpsOnly)}\0${host.domains.join()}`;
  const before = known.get(key);
  if (before) return before;
  known.set(key, host);
  return host;
}

/** No routes at all. */
export const noRoutes: RoutesPart = { bytes: Buffer.alloc(0), count: 0, clusters: new Set() };

const joined = new WeakMap<object, RoutesPart>();

/** Routes of several parts, one after the other: the same object for the same parts. */
export function joinedRoutes(parts: readonly RoutesPart[]): RoutesPart {
  const counting = parts.filter(({ count }) => count > 0);
  const [only] = counting;
  if (!only || counting.length === 1) return only ?? noRoutes;
  const key = together(...counting);
  const known = joined.get(key);
  if (known) return known;
  const made: RoutesPart = { bytes: Buffer.concat(counting.map(({ bytes }) => bytes)), count: counting.reduce((sum, { count }) => sum + count, 0), clusters: new Set(counting.flatMap(({ clusters }) => [...clusters])) };
  joined.set(key, made);
  return made;
}

/** The table as its message would be encoded: fields in their order, name before hosts before the rest. */
export function encodedTable(table: TableParts): Buffer {
  const { about } = table;
  const name = bufferOf(RouteConfiguration.encode(create(RouteConfiguration, { name: about.name })).finish());
  const rest = bufferOf(RouteConfiguration.encode({ ...about, name: '', virtualHosts: [] }).finish());
  return Buffer.concat([name, ...table.hosts.map((host) => encodedHost(host, table.countsAttempts)), rest]);
}

/** The table as a message, for who changes it or reads it. */
export function tableMessage(table: TableParts): RouteConfiguration {
  return { ...table.about, virtualHosts: table.hosts.map((host) => hostMessage(table, host)) };
}

export function hostMessage({ countsAttempts }: Pick<TableParts, 'countsAttempts'>, { name, domains, routes, httpsOnly }: HostPart): VirtualHost {
  return { ...VirtualHost.decode(routes.bytes), name, domains: [...domains], requireTls: requirement(httpsOnly), includeRequestAttemptCount: countsAttempts };
}

function requirement(httpsOnly: boolean | undefined): VirtualHost_TlsRequirementType {
  return httpsOnly === true ? VirtualHost_TlsRequirementType.ALL : VirtualHost_TlsRequirementType.NONE;
}

/** Clusters that a table sends or mirrors to. */
export function clustersOfTable({ hosts }: TableParts): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { routes } of hosts) for (const name of routes.clusters) found.add(name);
  return found;
}

const encodedHosts = new WeakMap<HostPart, Map<boolean, Buffer>>();

/** Field 2 of RouteConfiguration. Most hosts of a table were hosts of another one. */
function encodedHost(host: HostPart, countsAttempts: boolean): Buffer {
  const known = encodedHosts.get(host) ?? new Map<boolean, Buffer>();
  encodedHosts.set(host, known);
  const before = known.get(countsAttempts);
  if (before) return before;
  const { name, domains, routes, httpsOnly } = host;
  const head = bufferOf(VirtualHost.encode(create(VirtualHost, { name, domains: [...domains] })).finish());
  const tail = bufferOf(VirtualHost.encode(create(VirtualHost, { requireTls: requirement(httpsOnly), includeRequestAttemptCount: countsAttempts })).finish());
  const encoded = Buffer.concat([fieldHeader(2, head.length + routes.bytes.length + tail.length), head, routes.bytes, tail]);
  known.set(countsAttempts, encoded);
  return encoded;
}
