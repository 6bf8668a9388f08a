import { typeNameOf } from '@meltemi/api';
import { FilterConfig } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import type { Report } from './report.ts';
import type { PerFilter, PerFilterParser } from './types.ts';

export type PerFilters = ReadonlyMap<string, PerFilter>;

/** Compiles one level's typed_per_filter_config over the level above: the most specific entry of a filter wins. */
export function compilePerFilter(entries: Readonly<Record<string, Any>>, above: PerFilters, parse: PerFilterParser, at: { path: string; report: Report }): PerFilters {
  const names = Object.keys(entries);
  if (names.length === 0) return above;
  const merged = new Map(above);
  const base = at.path === '' ? 'typed_per_filter_config' : `${at.path}.typed_per_filter_config`;
  for (const name of names) {
    const config = entries[name];
    const compiled = config && compileEntry(name, config, parse, { path: `${base}[${name}]`, report: at.report });
    if (!compiled) continue;
    const inherited = above.get(name)?.levels ?? [];
    merged.set(name, { ...compiled, levels: compiled.config === null ? inherited : [compiled.config, ...inherited] });
  }
  return merged;
}

function compileEntry(name: string, config: Any, parse: PerFilterParser, at: { path: string; report: Report }): Omit<PerFilter, 'levels'> | null {
  let inner: Any | undefined = config;
  let optional = false;
  let disabled = false;
  if (typeNameOf(config.typeUrl) === 'envoy.config.route.v3.FilterConfig') {
    const wrapper = decode(config, at);
    if (!wrapper) return null;
    ({ config: inner, isOptional: optional, disabled } = wrapper);
  }
  if (!inner) return { disabled, config: null };
  const parsed = at.report.take(parse(name, inner, at.path, optional), null);
  return parsed === null && !disabled ? null : { disabled, config: parsed };
}

function decode(config: Any, at: { path: string; report: Report }): FilterConfig | null {
  try {
    return FilterConfig.decode(config.value);
  } catch (error) {
    at.report.refuse(at.path, `not a FilterConfig: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}
