import type { MessageCodec } from '@meltemi/api';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import type { PerFilterParser } from '@meltemi/route';
import { Report } from '@meltemi/route';
import { err, ok, type Result } from '@meltemi/base';
import type { Reference } from './config-source-types.ts';
import type { Compiled, Extension, Extensions, HttpFilterExtension } from './extensions.ts';

/** What travels through the compilation of one resource. */
export interface Context {
  readonly report: Report;
  readonly extensions: Extensions;
  readonly sdsNames: Set<string>;
  readonly rdsNames: Set<string>;
  readonly extensionNames: Set<string>;
  readonly clusterNames: Set<string>;
  /** What must come from elsewhere before the resource serves. */
  readonly references: Reference[];
}

export function newContext(extensions: Extensions): Context {
  return { report: new Report(extensions.formats), extensions, sdsNames: new Set(), rdsNames: new Set(), extensionNames: new Set(), clusterNames: new Set(), references: [] };
}

/** The value with its warnings, or the errors. */
export function finish<T>(report: Report, value: T | null): Result<Compiled<T>> {
  if (report.errors.length > 0 || value === null) return err(report.errors);
  return ok({ value, warnings: report.warnings });
}

/** Decodes bytes; a broken message is an error at `path`. */
export function decodeAt<T>(codec: MessageCodec<T>, bytes: Uint8Array, path: string, report: Report): T | null {
  try {
    return codec.decode(bytes);
  } catch (error) {
    report.refuse(path, `cannot be decoded: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** Runs an extension's parser. Undefined = refused, or left out because it is optional. `field` defaults to typed_config. */
export function parseExtension(registry: ReadonlyMap<string, Extension>, any: Any | undefined, at: { path: string; field?: string; optional: boolean; what: string }, context: Context): { config: unknown } | undefined {
  const field = at.field ?? 'typed_config';
  if (!any) {
    context.report.refuse(at.path, `${field} is required`);
    return undefined;
  }
  const extension = registry.get(any.typeUrl);
  const path = at.path === '' ? field : `${at.path}.${field}`;
  if (!extension) {
    if (at.optional) context.report.warn(path, `${any.typeUrl} is not known; the ${at.what} is optional and left out`);
    else context.report.refuse(path, `${any.typeUrl} is not a ${at.what} of this proxy`);
    return undefined;
  }
  const parsed = runParser((bytes, ctx) => extension.parse(bytes, ctx), any, path, context);
  return parsed.ok ? { config: parsed.value } : (context.report.errors.push(...parsed.error), undefined);
}

type Parse = Extension['parse'];

function runParser(parse: Parse, any: Any, path: string, context: Context): Result<unknown> {
  const warn = (where: string, message: string): void => context.report.warn(where, message);
  try {
    return parse(any.value, { path, typeUrl: any.typeUrl, warn, extensions: context.extensions });
  } catch (error) {
    return err([{ path, message: `cannot be decoded: ${error instanceof Error ? error.message : String(error)}` }]);
  }
}

/** Reads typed_per_filter_config by the registry's HTTP filters; `base` goes before the table's paths. */
export function perFilterParser(context: Context, base = ''): PerFilterParser {
  return (_name, any, where, optional) => {
    const path = base === '' ? where : `${base}.${where}`;
    const filter = routeParserOf(context.extensions, any.typeUrl);
    if (filter?.parseRoute) return runParser((bytes, ctx) => filter.parseRoute?.(bytes, ctx) ?? ok(null), any, path, context);
    if (optional) {
      context.report.warn(path, `${any.typeUrl} is not known; it is optional and left out`);
      return ok(null);
    }
    return err([{ path, message: `${any.typeUrl} is not a per-route config of any HTTP filter of this proxy` }]);
  };
}

function routeParserOf(extensions: Extensions, typeUrl: string): HttpFilterExtension | undefined {
  for (const [ownUrl, filter] of extensions.httpFilters) {
    if (filter.parseRoute && (filter.routeTypeUrls ?? [ownUrl]).includes(typeUrl)) return filter;
  }
  return undefined;
}
