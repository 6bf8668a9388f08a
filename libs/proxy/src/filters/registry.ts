import type { Extensions } from '@meltemi/snapshot';
import type { HttpFilterFactory, NetworkFilterFactory } from '../filter.ts';
import { routerFilter } from './http/router/router.ts';

/** Every HTTP filter of this proxy, in the order a sidecar runs them. */
export const httpFilters: readonly HttpFilterFactory[] = [
  // Last always: it takes the request away.
  routerFilter,
];

/** Every network filter besides the terminal ones (HTTP connection manager, TCP proxy), which the server owns. */
export const networkFilters: readonly NetworkFilterFactory[] = [];

const httpByType = new Map(httpFilters.flatMap((factory) => factory.typeUrls.map((typeUrl) => [typeUrl, factory] as const)));
const networkByType = new Map(networkFilters.flatMap((factory) => factory.typeUrls.map((typeUrl) => [typeUrl, factory] as const)));

export function httpFilterFactory(typeUrl: string): HttpFilterFactory | undefined {
  return httpByType.get(typeUrl);
}

export function networkFilterFactory(typeUrl: string): NetworkFilterFactory | undefined {
  return networkByType.get(typeUrl);
}

/** The filters as xDS compilation wants them. Access loggers come from whoever writes them. */
export function filterExtensions(accessLoggers: Extensions['accessLoggers'] = new Map()): Extensions {
  return { httpFilters: httpByType, networkFilters: networkByType, listenerFilters: new Map(), accessLoggers };
}
