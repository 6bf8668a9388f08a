import type { HeaderOperations, Headers } from '@meltemi/config';
import { HeaderValue, HeaderValueOption, HeaderValueOption_HeaderAppendAction } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { Route } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { create } from '../message.ts';

export type HeaderFields = Pick<Route, 'requestHeadersToAdd' | 'requestHeadersToRemove' | 'responseHeadersToAdd' | 'responseHeadersToRemove'>;

const { APPEND_IF_EXISTS_OR_ADD: append, OVERWRITE_IF_EXISTS_OR_ADD: overwrite } = HeaderValueOption_HeaderAppendAction;

/** Several levels of `headers` as one, the first done first; in each `set` comes before `add`. */
export function headerOperations(...levels: readonly (Headers | undefined)[]): HeaderFields {
  return {
    requestHeadersToAdd: levels.flatMap((headers) => toAdd(headers?.request)),
    requestHeadersToRemove: levels.flatMap((headers) => toRemove(headers?.request)),
    responseHeadersToAdd: levels.flatMap((headers) => toAdd(headers?.response)),
    responseHeadersToRemove: levels.flatMap((headers) => toRemove(headers?.response)),
  };
}

/** The host that a level gives the request: Envoy sets it by rewriting, not as a header. */
export function headerHost(headers: Headers | undefined): string | undefined {
  const named = (map: Readonly<Record<string, string>> = {}) => Object.entries(map).find(([name]) => /^(host|:authority)$/i.test(name))?.[1];
  return named(headers?.request?.set) || named(headers?.request?.add) || undefined;
}

function toAdd(operations: HeaderOperations | undefined): HeaderValueOption[] {
  const options = (map: Readonly<Record<string, string>> = {}, appendAction: HeaderValueOption['appendAction']) =>
    Object.entries(map)
      .filter(([name]) => !isInternal(name))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => create(HeaderValueOption, { header: create(HeaderValue, { key, value }), appendAction }));
  return [...options(operations?.set, overwrite), ...options(operations?.add, append)];
}

function toRemove(operations: HeaderOperations | undefined): string[] {
  return (operations?.remove ?? []).filter((name) => !isInternal(name));
}

/** Pseudo headers and Host cannot be changed as headers: Envoy refuses it. */
function isInternal(name: string): boolean {
  return name.startsWith(':') || name.toLowerCase() === 'host';
}
