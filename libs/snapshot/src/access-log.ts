import type { AccessLog as AccessLogMessage, AccessLogFilter as FilterMessage, ComparisonFilter } from '@meltemi/api/gen/envoy/config/accesslog/v3/accesslog.ts';
import { ExpressionFilter } from '@meltemi/api/gen/envoy/extensions/access_loggers/filters/cel/v3/cel.ts';
import { grpcFromHttp, grpcStatus, logTypeOf, ResponseFlag, type StreamInfo } from '@meltemi/http';
import { always, compileCel, compileFraction, compileHeaderMatcher, compileMetadataMatcher } from '@meltemi/match';
import type { Report } from '@meltemi/route';
import { decodeAt, parseExtension, type Context } from './context.ts';
import type { AccessLog, AccessLogFilter } from './listener-types.ts';

type Evaluate = AccessLogFilter['evaluate'];

/** Deepest nesting of and/or filters. */
const maxDepth = 16;

/** Compiles access logs with the registry's loggers. */
export function compileAccessLogs(logs: readonly AccessLogMessage[], path: string, context: Context): AccessLog[] {
  return logs.flatMap((log, i) => {
    const at = `${path}[${i}]`;
    const any = log.configType?.value;
    const filter = log.filter ? compileLogFilter(log.filter, `${at}.filter`, context.report) : null;
    const parsed = parseExtension(context.extensions.accessLoggers, any, { path: at, optional: false, what: 'access logger' }, context);
    return parsed ? [{ name: log.name, filter, typeUrl: any?.typeUrl ?? '', config: parsed.config }] : [];
  });
}

/** Compiles an access log filter. */
export function compileLogFilter(filter: FilterMessage, path: string, report: Report): AccessLogFilter {
  return { evaluate: compile(filter, path, report, 0) };
}

function compile(filter: FilterMessage, path: string, report: Report, depth: number): Evaluate {
  const specifier = filter.filterSpecifier;
  if (depth > maxDepth) report.refuse(path, `filters are nested deeper than ${maxDepth}`);
  else if (!specifier) report.refuse(path, 'a filter needs a specifier');
  else {
    switch (specifier.$case) {
      case 'statusCodeFilter':
        return comparison(specifier.value.comparison, (info) => info.responseCode, `${path}.status_code_filter`, report);
      case 'durationFilter':
        return comparison(specifier.value.comparison, durationOf, `${path}.duration_filter`, report);
      case 'notHealthCheckFilter':
        return (info) => !info.healthCheck;
      case 'traceableFilter':
        return (info) => info.traceSampled;
      case 'runtimeFilter': {
        const fraction = compileFraction(specifier.value.percentSampled, always);
        return (_info, random) => fraction.hit(random);
      }
      case 'andFilter': {
        const all = specifier.value.filters.map((one, i) => compile(one, `${path}.and_filter.filters[${i}]`, report, depth + 1));
        return (info, random) => all.every((one) => one(info, random));
      }
      case 'orFilter': {
        const any = specifier.value.filters.map((one, i) => compile(one, `${path}.or_filter.filters[${i}]`, report, depth + 1));
        return (info, random) => any.some((one) => one(info, random));
      }
      default:
        return compileLeaf(specifier, path, report);
    }
  }
  return () => true;
}

type Leaf = Extract<NonNullable<FilterMessage['filterSpecifier']>, { $case: 'headerFilter' | 'responseFlagFilter' | 'grpcStatusFilter' | 'extensionFilter' | 'metadataFilter' | 'logTypeFilter' }>;

function compileLeaf(specifier: Leaf, path: string, report: Report): Evaluate {
  switch (specifier.$case) {
    case 'headerFilter': {
      const header = specifier.value.header;
      const match = header ? report.take(compileHeaderMatcher(header, `${path}.header_filter.header`), null) : null;
      if (!header) report.refuse(`${path}.header_filter.header`, 'is required');
      return (info) => match !== null && info.request !== null && match.matches(info.request);
    }
    case 'responseFlagFilter':
      return responseFlags(specifier.value.flags, `${path}.response_flag_filter.flags`, report);
    case 'grpcStatusFilter': {
      const statuses = new Set<number>(specifier.value.statuses);
      const exclude = specifier.value.exclude;
      return (info) => statuses.has(grpcStatus(info) ?? grpcFromHttp(info.responseCode)) !== exclude;
    }
    case 'metadataFilter':
      return metadataFilter(specifier.value, `${path}.metadata_filter`, report);
    case 'logTypeFilter': {
      const types = new Set<number>(specifier.value.types);
      const exclude = specifier.value.exclude;
      return (info) => types.has(logTypeOf(info)) !== exclude;
    }
    case 'extensionFilter':
      return extensionFilter(specifier.value, `${path}.extension_filter`, report);
  }
}

const celUrl = 'type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter';

/** A stream of which the expression cannot tell, because something it needs is not there, is not logged, as in Envoy. */
function extensionFilter({ configType }: Extract<Leaf, { $case: 'extensionFilter' }>['value'], path: string, report: Report): Evaluate {
  const any = configType?.value;
  if (any?.typeUrl !== celUrl) {
    report.refuse(path, `${any?.typeUrl ?? 'a filter without typed_config'} is not supported: only expressions (CEL) are`);
    return () => true;
  }
  const message = decodeAt(ExpressionFilter, any.value, `${path}.typed_config`, report);
  const compiled = message && compileCel(message.expression);
  if (compiled && !compiled.ok) report.refuse(`${path}.typed_config.expression`, compiled.error);
  const expression = compiled?.ok === true ? compiled.value : null;
  return (info) => expression?.evaluate(info) === true;
}

function metadataFilter(filter: Extract<Leaf, { $case: 'metadataFilter' }>['value'], path: string, report: Report): Evaluate {
  const matcher = filter.matcher;
  if (!matcher) return () => true;
  const match = report.take(compileMetadataMatcher(matcher, `${path}.matcher`), null);
  const whenMissing = filter.matchIfKeyNotFound ?? true;
  const key = matcher.path[0]?.segment?.value ?? '';
  return (info) => (info.dynamicMetadata?.[matcher.filter]?.[key] === undefined ? whenMissing : match !== null && match.matches(info.dynamicMetadata));
}

function responseFlags(flags: readonly string[], path: string, report: Report): Evaluate {
  let wanted = 0;
  for (const [i, flag] of flags.entries()) {
    if (Object.hasOwn(ResponseFlag, flag)) wanted |= ResponseFlag[flag as keyof typeof ResponseFlag];
    else report.refuse(`${path}[${i}]`, `"${flag}" is not a response flag`);
  }
  return flags.length === 0 ? (info) => info.responseFlags !== 0 : (info) => (info.responseFlags & wanted) !== 0;
}

function comparison(filter: ComparisonFilter | undefined, read: (info: StreamInfo) => number, path: string, report: Report): Evaluate {
  const limit = filter?.value?.defaultValue;
  if (limit === undefined) report.refuse(`${path}.comparison.value`, 'is required');
  const bound = limit ?? 0;
  switch (filter?.op) {
    case 1:
      return (info) => read(info) >= bound;
    case 2:
      return (info) => read(info) <= bound;
    case 0:
      return (info) => read(info) === bound;
    default:
      report.refuse(`${path}.comparison.op`, 'must be EQ, GE or LE');
      return () => true;
  }
}

function durationOf(info: StreamInfo): number {
  return info.endMonoMs < 0 ? 0 : info.endMonoMs - info.startMonoMs;
}
