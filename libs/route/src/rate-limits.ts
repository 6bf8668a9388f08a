import type {
  RateLimit, RateLimit_Action, RateLimit_Action_DynamicMetaData, RateLimit_Action_HeaderValueMatch, RateLimit_Action_MaskedRemoteAddress, RateLimit_Action_MetaData, RateLimit_Action_QueryParameterValueMatch,
} from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { MetadataKey } from '@meltemi/api/gen/envoy/type/metadata/v3/metadata.ts';
import { addressWithoutPort, fieldNameOf, fromWire, queryOf, type DynamicMetadata, type RequestHead, type StreamInfo } from '@meltemi/http';
import { compileAll, compileHeaderMatchers, compileQueryMatcher, parseIp } from '@meltemi/match';
import { checkFields, oneof, refuse, use, warn, type FieldTable } from './fields.ts';
import type { Report } from './report.ts';
import type { RateLimitEntry, RateLimitUnit, RateLimitRule, RateLimitSource } from './types.ts';

/** Adds an entry to a descriptor: the entry; null to add none; undefined when there is to be no descriptor at all. */
type Action = (head: RequestHead, info: StreamInfo, source: RateLimitSource) => RateLimitEntry | null | undefined;

const rateLimitFields: FieldTable<RateLimit> = {
  stage: use, actions: use, limit: use,
  disableKey: warn('there is no runtime to switch rate limits off from'),
};

const actionFields: FieldTable<RateLimit_Action> = {
  actionSpecifier: oneof({
    sourceCluster: use, destinationCluster: use, requestHeaders: use, remoteAddress: use, genericKey: use, headerValueMatch: use, dynamicMetadata: use, metadata: use,
    maskedRemoteAddress: use, queryParameterValueMatch: use,
    extension: refuse('rate limit descriptors from extensions are not supported: use the other actions'),
  }),
};

/** Compiles rate_limits of a route or virtual host. Sources: Envoy's route_components docs. */
export function compileRateLimits(limits: readonly RateLimit[], path: string, report: Report): RateLimitRule[] {
  return limits.map((limit, i) => compileOne(limit, `${path}[${i}]`, report));
}

function compileOne(limit: RateLimit, path: string, report: Report): RateLimitRule {
  checkFields(limit, rateLimitFields, path, report);
  if (limit.actions.length === 0) report.refuse(`${path}.actions`, 'needs at least one action');
  const stage = limit.stage ?? 0;
  if (stage > 10) report.refuse(`${path}.stage`, `${stage} is more than 10`);
  const actions = limit.actions.map((action, i) => compileAction(action, `${path}.actions[${i}]`, report));
  const override = limit.limit?.overrideSpecifier?.value.metadataKey;
  if (limit.limit !== undefined && override === undefined) report.refuse(`${path}.limit.dynamic_metadata.metadata_key`, 'is required');
  return {
    stage,
    disableKey: limit.disableKey,
    descriptor(head, info, source) {
      const entries: RateLimitEntry[] = [];
      for (const action of actions) {
        const entry = action(head, info, source);
        if (entry === undefined) return null;
        if (entry !== null) entries.push(entry);
      }
      return entries.length === 0 ? null : { entries, limit: override === undefined ? null : limitFrom(valueAt(info.dynamicMetadata, override)) };
    },
  };
}

function compileAction(action: RateLimit_Action, path: string, report: Report): Action {
  checkFields(action, actionFields, path, report);
  const specifier = action.actionSpecifier;
  switch (specifier?.$case) {
    case 'sourceCluster':
      return (_head, _info, source) => ({ key: 'source_cluster', value: source.localCluster });
    case 'destinationCluster':
      return (_head, info) => ({ key: 'destination_cluster', value: info.upstreamCluster ?? '' });
    case 'requestHeaders':
      return headerAction(specifier.value, `${path}.request_headers`, report);
    case 'remoteAddress':
      return (_head, info) => {
        const value = addressWithoutPort(info.downstreamRemoteAddress);
        return parseIp(value) === null ? undefined : { key: 'remote_address', value };
      };
    case 'maskedRemoteAddress':
      return maskedAction(specifier.value, `${path}.masked_remote_address`, report);
    case 'genericKey': {
      required(specifier.value.descriptorValue, `${path}.generic_key.descriptor_value`, report);
      const entry = { key: specifier.value.descriptorKey || 'generic_key', value: specifier.value.descriptorValue };
      return () => entry;
    }
    case 'headerValueMatch':
      return headerMatchAction(specifier.value, `${path}.header_value_match`, report);
    case 'queryParameterValueMatch':
      return queryMatchAction(specifier.value, `${path}.query_parameter_value_match`, report);
    case 'dynamicMetadata':
      return metadataAction({ ...specifier.value, source: 0, skipIfAbsent: false }, `${path}.dynamic_metadata`, report);
    case 'metadata':
      return metadataAction(specifier.value, `${path}.metadata`, report);
    case 'extension':
      return () => undefined;
    case undefined:
      report.refuse(path, 'names no action');
      return () => undefined;
  }
}

function required(text: string, path: string, report: Report): void {
  if (text === '') report.refuse(path, 'is required');
}

function headerAction({ headerName, descriptorKey, skipIfAbsent }: { headerName: string; descriptorKey: string; skipIfAbsent: boolean }, path: string, report: Report): Action {
  required(headerName, `${path}.header_name`, report);
  required(descriptorKey, `${path}.descriptor_key`, report);
  const name = fieldNameOf(headerName);
  const pseudo = name.startsWith(':') || name === 'host';
  return (head) => {
    const value = pseudo ? head.field(name) : head.headers.get(name);
    if (value !== null) return { key: descriptorKey, value: fromWire(value) };
    return skipIfAbsent ? null : undefined;
  };
}

function maskedAction({ v4PrefixMaskLen, v6PrefixMaskLen }: RateLimit_Action_MaskedRemoteAddress, path: string, report: Report): Action {
  const [v4, v6] = [v4PrefixMaskLen ?? 32, v6PrefixMaskLen ?? 128];
  if (v4 > 32) report.refuse(`${path}.v4_prefix_mask_len`, `${v4} is more than 32`);
  if (v6 > 128) report.refuse(`${path}.v6_prefix_mask_len`, `${v6} is more than 128`);
  return (_head, info) => {
    const ip = parseIp(addressWithoutPort(info.downstreamRemoteAddress));
    if (ip === null) return undefined;
    const length = ip.length === 4 ? v4 : v6;
    return { key: 'masked_remote_address', value: `${maskedText(ip, length)}/${length}` };
  };
}

/** The address with all bits behind the prefix zero, IPv6 in RFC 5952 form. */
function maskedText(ip: Uint8Array, prefix: number): string {
  const masked = ip.map((byte, i) => byte & (0xff00 >> Math.max(0, Math.min(8, prefix - i * 8))));
  if (ip.length === 4) return masked.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => (((masked[i * 2] ?? 0) << 8) | (masked[i * 2 + 1] ?? 0)).toString(16));
  let [start, length] = [-1, 1];
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (groups[end] === '0') end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  return start < 0 ? groups.join(':') : `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

function headerMatchAction(match: RateLimit_Action_HeaderValueMatch, path: string, report: Report): Action {
  required(match.descriptorValue, `${path}.descriptor_value`, report);
  if (match.headers.length === 0) report.refuse(`${path}.headers`, 'needs at least one matcher');
  const headers = report.take(compileHeaderMatchers(match.headers, `${path}.headers`), []);
  const entry = { key: match.descriptorKey || 'header_match', value: match.descriptorValue };
  const expected = match.expectMatch ?? true;
  return (head) => (headers.every((header) => header.matches(head)) === expected ? entry : undefined);
}

function queryMatchAction(match: RateLimit_Action_QueryParameterValueMatch, path: string, report: Report): Action {
  required(match.descriptorValue, `${path}.descriptor_value`, report);
  if (match.queryParameters.length === 0) report.refuse(`${path}.query_parameters`, 'needs at least one matcher');
  const parameters = report.take(compileAll(match.queryParameters, `${path}.query_parameters`, compileQueryMatcher), []);
  const entry = { key: match.descriptorKey || 'query_match', value: match.descriptorValue };
  const expected = match.expectMatch ?? true;
  return (head) => {
    const query = queryOf(head.path);
    return parameters.every((parameter) => parameter.matches(query)) === expected ? entry : undefined;
  };
}

type MetadataAction = RateLimit_Action_MetaData | (RateLimit_Action_DynamicMetaData & { readonly source: 0; readonly skipIfAbsent: false });

function metadataAction({ descriptorKey, metadataKey, defaultValue, source, skipIfAbsent }: MetadataAction, path: string, report: Report): Action {
  required(descriptorKey, `${path}.descriptor_key`, report);
  if (metadataKey === undefined) report.refuse(`${path}.metadata_key`, 'is required');
  return (_head, info) => {
    const found = metadataKey === undefined ? undefined : valueAt(source === 1 ? info.routeMetadata : info.dynamicMetadata, metadataKey);
    const value = typeof found === 'string' && found !== '' ? found : defaultValue;
    if (value !== '') return { key: descriptorKey, value };
    return skipIfAbsent ? null : undefined;
  };
}

function valueAt(metadata: DynamicMetadata | null, key: MetadataKey): unknown {
  let value: unknown = metadata?.[key.key];
  for (const segment of key.path) {
    const name = segment.segment?.value ?? '';
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

const units: Readonly<Record<string, RateLimitUnit>> = { UNKNOWN: 0, SECOND: 1, MINUTE: 2, HOUR: 3, DAY: 4, MONTH: 5, YEAR: 6 };

/** `{requests_per_unit, unit}` from metadata; null when it is not that. */
function limitFrom(value: unknown): { requestsPerUnit: number; unit: RateLimitUnit } | null {
  if (typeof value !== 'object' || value === null) return null;
  const { requests_per_unit: requests, unit } = value as Record<string, unknown>;
  const known = typeof unit === 'string' && Object.hasOwn(units, unit) ? units[unit] : undefined;
  return typeof requests === 'number' && requests >= 0 && known !== undefined ? { requestsPerUnit: Math.floor(requests), unit: known } : null;
}
