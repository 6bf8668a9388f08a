import type { CustomTag as TagMessage } from '@meltemi/api/gen/envoy/type/tracing/v3/custom_tag.ts';
import { formatFieldErrors } from '@meltemi/base';
import { compileFormat, fromWire, type DynamicMetadata, type StreamInfo } from '@meltemi/http';
import type { Report } from './report.ts';

/** A tag of one's own for spans and access log entries. */
export interface CustomTag {
  readonly tag: string;
  /** Null or "": no tag. `environment` reads a variable of the process. */
  value(info: StreamInfo, environment: (name: string) => string | undefined): string | null;
}

type Value = CustomTag['value'];

/** Compiles custom_tags. */
export function compileCustomTags(tags: readonly TagMessage[], path: string, report: Report): CustomTag[] {
  return tags.flatMap((tag, i): CustomTag[] => {
    const at = `${path}[${i}]`;
    if (tag.tag === '') report.refuse(`${at}.tag`, 'is required');
    const value = compileValue(tag, at, report);
    return value ? [{ tag: tag.tag, value }] : [];
  });
}

function compileValue({ type }: TagMessage, path: string, report: Report): Value | null {
  switch (type?.$case) {
    case 'literal': {
      const { value } = type.value;
      return () => value;
    }
    case 'environment': {
      const { name, defaultValue } = type.value;
      return (_info, environment) => environment(name) ?? defaultValue;
    }
    case 'requestHeader': {
      const name = type.value.name.toLowerCase();
      const { defaultValue } = type.value;
      return (info) => {
        const told = info.request?.field(name) ?? null;
        return told === null ? defaultValue : fromWire(told);
      };
    }
    case 'metadata':
      return metadataValue(type.value, path, report);
    case 'value':
      return formatted(type.value, path, report);
    default:
      report.refuse(path, 'needs literal, environment, request_header, metadata or value');
      return null;
  }
}

/** As access logs print it; what is not there is empty. */
function formatted(format: string, path: string, report: Report): Value | null {
  const compiled = compileFormat(format, { ...report.formats, omitEmpty: true });
  if (compiled.ok) return (info) => fromWire(compiled.value.format(info));
  report.refuse(`${path}.value`, formatFieldErrors(compiled.error));
  return null;
}

function metadataValue({ kind, metadataKey, defaultValue }: Extract<NonNullable<TagMessage['type']>, { $case: 'metadata' }>['value'], path: string, report: Report): Value | null {
  const source = sources[kind?.kind?.$case ?? 'request'];
  const keys = (metadataKey?.path ?? []).map(({ segment }) => segment?.value ?? '');
  const namespace = metadataKey?.key ?? '';
  if (namespace === '' || keys.length === 0) {
    report.refuse(`${path}.metadata.metadata_key`, 'needs a key and a path');
    return null;
  }
  return (info) => {
    let value: unknown = source(info)?.[namespace];
    for (const key of keys) value = typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    if (value === undefined || value === null) return defaultValue;
    return typeof value === 'string' ? value : JSON.stringify(value);
  };
}

const sources: Readonly<Record<'request' | 'route' | 'cluster' | 'host', (info: StreamInfo) => DynamicMetadata | null>> = {
  request: (info) => info.dynamicMetadata, route: (info) => info.routeMetadata, cluster: (info) => info.clusterMetadata, host: (info) => info.upstreamMetadata,
};
