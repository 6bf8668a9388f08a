import type { ScopedRoutes_ScopeKeyBuilder, ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor as Extractor } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { RequestHead } from '@meltemi/http';
import type { Report } from './report.ts';

/** The scope a request belongs to, as `scopeKey` writes it; null: none. */
export type ScopeKeyBuilder = (head: RequestHead) => string | null;

type Fragment = (head: RequestHead) => string | null;

/** Fragments as one text: equal only for equal ones in the same order. */
export function scopeKey(fragments: readonly string[]): string {
  return JSON.stringify(fragments);
}

/** Compiles a scope_key_builder. A request that lacks one of the fragments belongs to no scope. */
export function compileScopeKey(builder: ScopedRoutes_ScopeKeyBuilder | undefined, path: string, report: Report): ScopeKeyBuilder {
  if (builder === undefined || builder.fragments.length === 0) report.refuse(`${path}.fragments`, 'is required: where the key comes from');
  const fragments = (builder?.fragments ?? []).map(({ type }, i): Fragment => {
    const at = `${path}.fragments[${i}]`;
    if (type?.$case === 'headerValueExtractor') return compileExtractor(type.value, `${at}.header_value_extractor`, report);
    report.refuse(at, 'needs a header_value_extractor');
    return () => null;
  });
  return (head) => {
    const values: string[] = [];
    for (const fragment of fragments) {
      const value = fragment(head);
      if (value === null) return null;
      values.push(value);
    }
    return scopeKey(values);
  };
}

function compileExtractor({ name, elementSeparator, extractType }: Extractor, path: string, report: Report): Fragment {
  const header = name.toLowerCase();
  if (header === '') report.refuse(`${path}.name`, 'is required');
  if (extractType === undefined) report.refuse(path, 'needs index or element');
  const first = (head: RequestHead) => (header.startsWith(':') || header === 'host' ? head.field(header) : head.headers.get(header)) || null;
  const elements = (value: string) => (elementSeparator === '' ? [value] : value.split(elementSeparator));
  if (extractType?.$case === 'element') {
    const { key, separator } = extractType.value;
    if (key === '') report.refuse(`${path}.element.key`, 'is required');
    if (separator === '') report.refuse(`${path}.element.separator`, 'is required');
    return (head) => {
      const value = first(head);
      const found = value === null ? undefined : elements(value).find((element) => element === key || element.startsWith(key + separator));
      return found === undefined ? null : found.slice(key.length + separator.length);
    };
  }
  const index = extractType?.value ?? 0;
  if (index > 0 && elementSeparator === '') report.refuse(`${path}.index`, 'must be 0 without an element_separator');
  return (head) => {
    const value = first(head);
    return value === null ? null : (elements(value)[index] ?? null);
  };
}
