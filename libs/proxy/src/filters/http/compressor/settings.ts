import { err, fail, ok, type Result } from '@meltemi/base';
import { Compressor, CompressorPerRoute, type Compressor_CommonDirectionConfig } from '@meltemi/api/gen/envoy/extensions/filters/http/compressor/v3/compressor.ts';
import type { HeaderMap } from '@meltemi/http';
import { Report, use, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { checkSettings } from '../../check-settings.ts';
import { compileLibrary, type CompressorLibrary } from './libraries.ts';

/** What one direction of a compressor config compiles to. */
export interface DirectionConfig {
  readonly enabled: boolean;
  readonly minLength: number;
  readonly contentTypes: ReadonlySet<string>;
  /** Named "request.", "response." or, by the old fields, nothing. */
  readonly statPrefix: string;
}

export interface CompressorConfig {
  readonly library: CompressorLibrary;
  /** Null: requests are not compressed. */
  readonly request: DirectionConfig | null;
  readonly response: DirectionConfig;
  readonly skipEtags: boolean;
  readonly removeAcceptEncoding: boolean;
  /** Answers with these codes are left as they are. */
  readonly leftCodes: ReadonlySet<number>;
  /** The answer says in x-envoy-compression-status what became of it. */
  readonly tellsStatus: boolean;
  readonly chooseFirst: boolean;
}

/** A route's settings. */
export interface CompressorOverrides {
  readonly disabled: boolean;
  /** Null: the filter's. */
  readonly removeAcceptEncoding: boolean | null;
}

const defaultMinLength = 30;
/** The types of Envoy's docs with the synonyms it takes. */
const defaultTypes: ReadonlySet<string> = new Set([
  'text/html', 'text/plain', 'text/css', 'application/javascript', 'application/x-javascript', 'text/javascript', 'text/x-javascript', 'text/ecmascript', 'text/js', 'text/jscript', 'text/x-js',
  'application/ecmascript', 'application/x-json', 'application/xml', 'application/json', 'image/svg+xml', 'text/xml', 'application/xhtml+xml',
]);

const settings: FieldTable<Compressor> = {
  contentLength: use, contentType: use, disableOnEtagHeader: use, removeAcceptEncodingHeader: use, runtimeEnabled: use, compressorLibrary: use,
  requestDirectionConfig: use, responseDirectionConfig: use, chooseFirst: use,
};

export function parseCompressor(bytes: Uint8Array, ctx: ParseContext): Result<CompressorConfig> {
  const message = Compressor.decode(bytes);
  const report = new Report();
  report.errors.push(...checkSettings(message, settings, ctx));
  const library = report.take(compileLibrary(message.compressorLibrary, `${ctx.path}.compressor_library`), null);
  const { requestDirectionConfig: request, responseDirectionConfig: response } = message;
  for (const [i, code] of (response?.uncompressibleResponseCodes ?? []).entries()) if (code < 200 || code > 599) report.refuse(`${ctx.path}.response_direction_config.uncompressible_response_codes[${i}]`, 'must be 200 to 599');
  // The fields of old count only without the new one.
  const old: Compressor_CommonDirectionConfig = { enabled: message.runtimeEnabled, minContentLength: message.contentLength, contentType: message.contentType };
  if (report.errors.length > 0 || library === null) return err(report.errors);
  return ok({
    library,
    request: request === undefined ? null : direction(request.commonConfig, 'request.'),
    response: response === undefined ? direction(old, '') : direction(response.commonConfig, 'response.'),
    skipEtags: response?.disableOnEtagHeader ?? message.disableOnEtagHeader,
    removeAcceptEncoding: response?.removeAcceptEncodingHeader ?? message.removeAcceptEncodingHeader,
    leftCodes: new Set(response?.uncompressibleResponseCodes ?? []),
    tellsStatus: response?.statusHeaderEnabled ?? false,
    chooseFirst: message.chooseFirst,
  });
}

export function parseCompressorRoute(bytes: Uint8Array, ctx: ParseContext): Result<CompressorOverrides | null> {
  const { override } = CompressorPerRoute.decode(bytes);
  // Deviation: Envoy refuses settings that say nothing; they change nothing.
  if (override === undefined) return ok(null);
  if (override.$case === 'overrides') return ok({ disabled: false, removeAcceptEncoding: override.value.responseDirectionConfig?.removeAcceptEncodingHeader ?? null });
  return override.value ? ok({ disabled: true, removeAcceptEncoding: null }) : fail(`${ctx.path}.disabled`, 'can only be true');
}

function direction(common: Compressor_CommonDirectionConfig | undefined, statPrefix: string): DirectionConfig {
  const types = common?.contentType ?? [];
  return {
    enabled: common?.enabled?.defaultValue ?? true,
    minLength: common?.minContentLength ?? defaultMinLength,
    contentTypes: types.length === 0 ? defaultTypes : new Set(types.map((type) => type.toLowerCase())),
    statPrefix,
  };
}

/** Long enough, as far as its length is known. */
export function longEnough(config: DirectionConfig, headers: HeaderMap): boolean {
  const length = headers.get('content-length');
  return length === null || Number(length) >= config.minLength;
}

/** Of a type that is worth it; a body without a type counts as one. */
export function rightType(config: DirectionConfig, headers: HeaderMap): boolean {
  const type = headers.get('content-type');
  return type === null || config.contentTypes.has((type.split(';', 1)[0] ?? '').trim().toLowerCase());
}
