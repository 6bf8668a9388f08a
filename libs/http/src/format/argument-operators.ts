import { fieldNameOf } from '../field-name.ts';
import type { ResponseHead, RequestHead } from '../heads.ts';
import { pathOf, queryOf, queryParameter } from '../path.ts';
import type { DynamicMetadata, StreamInfo, TlsInfo } from '../stream-info.ts';
import { textOperator, truncated, type Command, type FormatOptions, type Operator, type OperatorFactory } from './operator.ts';
import { loggedGrpcStatus } from './stream-operators.ts';
import { compileTimeFormat, isoTime } from './time-format.ts';

/** Commands with arguments, or whose arguments are optional. */
export const argumentOperators: Readonly<Record<string, OperatorFactory>> = {
  REQ: headerFactory((info) => info.request),
  REQ_WITHOUT_QUERY: withoutQuery,
  RESP: headerFactory((info) => info.response),
  TRAILER: trailer,
  QUERY_PARAM: queryParam,
  PATH: path,
  ...timeOperators('START_TIME', (info) => info.startTimeMs),
  ...timeOperators('EMIT_TIME', (info) => info.startTimeMs + (info.endMonoMs < 0 ? 0 : info.endMonoMs - info.startMonoMs)),
  ...validityOperators('DOWNSTREAM', (info) => info.connection.tls),
  ...validityOperators('UPSTREAM', (info) => info.upstreamTls),
  RESPONSE_CODE_DETAILS: responseCodeDetails,
  DYNAMIC_METADATA: (command) => metadata(command, (info) => info.dynamicMetadata),
  UPSTREAM_METADATA: (command) => metadata(command, (info) => info.upstreamMetadata),
  CLUSTER_METADATA: (command) => metadata(command, (info) => info.clusterMetadata),
  METADATA: typedMetadata,
  FILTER_STATE: filterState,
  GRPC_STATUS: grpcStatusName,
  HOSTNAME: (_command, options) => textOperator(() => options.hostname ?? null),
  ENVIRONMENT: environment,
  UNIQUE_ID: uniqueId,
  COMMON_DURATION: commonDuration,
};

function headerFactory(head: (info: StreamInfo) => RequestHead | ResponseHead | null): OperatorFactory {
  return (command) => {
    const [main, other, extra] = namesOf(command);
    if (!main || extra !== undefined || other === '') return `%${command.name}(X?Y):Z% needs one or two header names`;
    const operator = textOperator((info) => {
      const source = head(info);
      return source === null ? null : (first(source, main) ?? (other === undefined ? null : first(source, other)));
    });
    return truncated(operator, command.maxLength);
  };
}

/** "X?Y": the names in an argument. */
function namesOf({ argument }: Command): string[] {
  return (argument ?? '').split('?').map(fieldNameOf);
}

/** Formatters print a header's first value; matchers see all of them joined. */
function first(head: RequestHead | ResponseHead, name: string): string | null {
  return name.charCodeAt(0) === 58 || name === 'host' ? head.field(name) : head.headers.get(name);
}

function withoutQuery(command: Command, options: FormatOptions): Operator | string {
  const inner = argumentOperators['REQ']?.({ ...command, maxLength: null }, options) ?? '';
  if (typeof inner === 'string') return inner;
  const operator = textOperator((info) => {
    const text = inner.text(info);
    return text === null ? null : pathOf(text);
  });
  return truncated(operator, command.maxLength);
}

function trailer(command: Command): Operator | string {
  const [main, other] = namesOf(command);
  if (!main) return '%TRAILER(X?Y):Z% needs a trailer name';
  const find = (trailers: readonly string[] | null, name: string | undefined): string | null => {
    if (trailers !== null) for (let i = 0; i < trailers.length; i += 2) if (trailers[i] === name) return trailers[i + 1] ?? '';
    return null;
  };
  return truncated(textOperator((info) => find(info.responseTrailers, main) ?? find(info.responseTrailers, other)), command.maxLength);
}

function queryParam(command: Command): Operator | string {
  const name = command.argument;
  if (!name) return '%QUERY_PARAM(X):Z% needs a parameter name';
  const operator = textOperator((info) => (info.request === null ? null : queryParameter(queryOf(info.request.path), name)));
  return truncated(operator, command.maxLength);
}

function path(command: Command): Operator | string {
  const [query = 'WQ', source = 'ORIG_OR_PATH'] = (command.argument ?? '').split(':');
  if (!['', 'WQ', 'NQ'].includes(query) || !['', 'ORIG', 'PATH', 'ORIG_OR_PATH'].includes(source)) return `%PATH(${command.argument})% takes WQ or NQ, then ORIG, PATH or ORIG_OR_PATH`;
  const operator = textOperator((info) => {
    if (info.request === null) return null;
    const original = source === 'PATH' ? null : info.request.headers.get('x-envoy-original-path');
    const text = original ?? (source === 'ORIG' ? null : info.request.path || null);
    return text !== null && query === 'NQ' ? pathOf(text) : text;
  });
  return truncated(operator, command.maxLength);
}

/** A time in UTC, and the same in the time of this machine; with a format of its own as argument. */
function timeOperators(name: string, read: (info: StreamInfo) => number | null): Record<string, OperatorFactory> {
  return { [name]: timeFactory(read, 'utc'), [`${name}_LOCAL`]: timeFactory(read, 'local') };
}

/** From when to when a peer's certificate is good. */
function validityOperators(side: string, tls: (info: StreamInfo) => TlsInfo | null): Record<string, OperatorFactory> {
  const when = (read: (tls: TlsInfo) => number) => timeFactory((info) => {
    const connection = tls(info);
    return connection === null || !connection.peerPresented ? null : read(connection);
  }, 'utc');
  return { [`${side}_PEER_CERT_V_START`]: when((t) => t.peerCertValidFromMs), [`${side}_PEER_CERT_V_END`]: when((t) => t.peerCertValidToMs) };
}

const isoPattern = '%Y-%m-%dT%H:%M:%E3S%Ez';

function timeFactory(read: (info: StreamInfo) => number | null, zone: 'utc' | 'local'): OperatorFactory {
  return (command) => {
    const format = command.argument ? compileTimeFormat(command.argument, zone) : zone === 'utc' ? isoTime : compileTimeFormat(isoPattern, zone);
    if (typeof format === 'string') return format;
    return textOperator((info) => {
      const ms = read(info);
      return ms === null ? null : format(ms);
    });
  };
}

function uniqueId(_command: Command, options: FormatOptions): Operator | string {
  const make = options.uniqueId;
  return make ? textOperator(make) : '%UNIQUE_ID% is not available here';
}

function responseCodeDetails(command: Command): Operator | string {
  if (command.argument !== null && command.argument !== 'ALLOW_WHITESPACES') return '%RESPONSE_CODE_DETAILS(…)% takes only ALLOW_WHITESPACES';
  const keep = command.argument !== null;
  return textOperator((info) => {
    const details = info.responseCodeDetails;
    return details === null || keep || !/\s/.test(details) ? details : details.replace(/\s/g, '_');
  });
}

function metadata(command: Command, read: (info: StreamInfo) => DynamicMetadata | null): Operator | string {
  const keys = metadataKeys(command.argument ?? '');
  const namespace = keys[0];
  if (!namespace) return `%${command.name}(NAMESPACE:KEY*):Z% needs a namespace`;
  const value = (info: StreamInfo): unknown => {
    let current: unknown = read(info)?.[namespace];
    for (let i = 1; i < keys.length; i++) {
      if (typeof current !== 'object' || current === null) return null;
      const key = keys[i] ?? '';
      current = Object.hasOwn(current, key) ? (current as Record<string, unknown>)[key] : undefined;
    }
    return current ?? null;
  };
  const operator = truncated(textOperator((info) => valueText(value(info))), command.maxLength);
  return command.maxLength === null ? { text: operator.text, value } : operator;
}

/** `ns:key:key`, or the older header syntax `["ns", "key"]`. */
function metadataKeys(argument: string): string[] {
  if (!argument.startsWith('[')) return argument.split(':');
  try {
    const parsed: unknown = JSON.parse(argument);
    return Array.isArray(parsed) ? parsed.map(String) : [];
  } catch {
    return [];
  }
}

function valueText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? null);
}

function typedMetadata(command: Command, options: FormatOptions): Operator | string {
  const [type = '', ...rest] = (command.argument ?? '').split(':');
  const inner = { ...command, argument: rest.join(':') };
  if (type === 'ROUTE') return metadata(inner, (info) => info.routeMetadata);
  const name = { DYNAMIC: 'DYNAMIC_METADATA', CLUSTER: 'CLUSTER_METADATA', UPSTREAM_HOST: 'UPSTREAM_METADATA' }[type];
  return name === undefined ? `%METADATA(TYPE:…)%: type must be DYNAMIC, ROUTE, CLUSTER or UPSTREAM_HOST` : (argumentOperators[name]?.(inner, options) ?? '');
}

function filterState(command: Command): Operator | string {
  const [key, type = 'TYPED'] = (command.argument ?? '').split(':');
  if (!key) return '%FILTER_STATE(KEY:F):Z% needs a key';
  if (type !== 'TYPED' && type !== 'PLAIN') return `%FILTER_STATE(${command.argument})%: the form must be PLAIN or TYPED`;
  const plain = (info: StreamInfo): string | null => valueText(info.filterState?.get(key));
  const text = type === 'PLAIN' ? plain : (info: StreamInfo) => (info.filterState?.has(key) ? JSON.stringify(info.filterState.get(key)) ?? null : null);
  const operator = truncated(textOperator(text), command.maxLength);
  return type === 'TYPED' && command.maxLength === null ? { text: operator.text, value: (info) => info.filterState?.get(key) ?? null } : operator;
}

const grpcNames = ['OK', 'Canceled', 'Unknown', 'InvalidArgument', 'DeadlineExceeded', 'NotFound', 'AlreadyExists', 'PermissionDenied',
  'ResourceExhausted', 'FailedPrecondition', 'Aborted', 'OutOfRange', 'Unimplemented', 'Internal', 'Unavailable', 'DataLoss', 'Unauthenticated'];

function grpcStatusName(command: Command): Operator | string {
  const form = command.argument || 'CAMEL_STRING';
  if (!['CAMEL_STRING', 'SNAKE_STRING', 'NUMBER'].includes(form)) return '%GRPC_STATUS(…)% takes CAMEL_STRING, SNAKE_STRING or NUMBER';
  const snake = grpcNames.map((name) => (name === 'OK' ? 'OK' : name === 'Canceled' ? 'CANCELLED' : name.replace(/(?!^)([A-Z])/g, '_$1').toUpperCase()));
  const names = form === 'SNAKE_STRING' ? snake : grpcNames;
  return textOperator((info) => {
    const status = loggedGrpcStatus(info);
    return status === null ? null : form === 'NUMBER' ? String(status) : (names[status] ?? String(status));
  });
}

function environment(command: Command, options: FormatOptions): Operator | string {
  if (!options.environment) return '%ENVIRONMENT(X)% is not available here';
  const value = options.environment[command.argument ?? ''] ?? null;
  return truncated(textOperator(() => value), command.maxLength);
}

const timePoints: Readonly<Record<string, (info: StreamInfo) => number>> = {
  DS_RX_BEG: (info) => info.startMonoMs, DS_RX_END: (info) => info.requestCompleteMonoMs,
  US_TX_BEG: (info) => info.upstreamFirstSentMonoMs, US_TX_END: (info) => info.upstreamLastSentMonoMs,
  US_RX_BEG: (info) => info.upstreamFirstReceivedMonoMs, US_RX_END: (info) => info.upstreamLastReceivedMonoMs,
  DS_TX_BEG: (info) => info.downstreamFirstSentMonoMs, DS_TX_END: (info) => info.downstreamLastSentMonoMs,
};
const perMs: Readonly<Record<string, number>> = { ms: 1, us: 1000, ns: 1e6 };

function commonDuration(command: Command): Operator | string {
  const [from = '', to = '', unit = 'ms'] = (command.argument ?? '').split(':');
  const start = timePoints[from];
  const end = timePoints[to];
  const scale = perMs[unit];
  if (!start || !end || scale === undefined) return '%COMMON_DURATION(START:END:PRECISION)% takes DS_RX_BEG … DS_TX_END and ms, us or ns';
  const value = (info: StreamInfo): number | null => {
    const a = start(info);
    const b = end(info);
    return a < 0 || b < a ? null : Math.trunc((b - a) * scale);
  };
  return { text: (info) => value(info)?.toString() ?? null, value };
}
