import type { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { RequestMethod } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { HealthCheck as Message, HealthCheck_GrpcHealthCheck, HealthCheck_HttpHealthCheck, HealthCheck_Payload, HealthCheck_TcpHealthCheck } from '@meltemi/api/gen/envoy/config/core/v3/health_check.ts';
import type { Duration } from '@meltemi/api/gen/google/protobuf/duration.ts';
import type { Int64Range } from '@meltemi/api/gen/envoy/type/v3/range.ts';
import { compileStringMatcher } from '@meltemi/match';
import { checkFields, compileHeaderOps, durationMs, type Report } from '@meltemi/route';
import { grpcCheckFields, healthCheckFields, httpCheckFields, tcpCheckFields } from './cluster-tables.ts';
import type { GrpcCheck, HealthCheck, HttpCheck, StatusRange, TcpCheck } from './cluster-types.ts';

/** Envoy's pace while a cluster was never used. */
const noTrafficMs = 60_000;
const defaultBufferBytes = 1024;
/** More of an answer than this is never kept. */
const maxBufferBytes = 1_048_576;

/** Compiles health_checks with Envoy's defaults; null when there are none. */
export function compileHealthChecks(message: Cluster, report: Report): HealthCheck | null {
  const [check] = message.healthChecks;
  if (!check) return null;
  if (message.healthChecks.length > 1) report.refuse('health_checks', 'only one health check per cluster is supported, as in Envoy');
  const discovery = message.clusterDiscoveryType;
  if (discovery?.$case === 'type' && discovery.value === 4) report.refuse('health_checks', 'hosts of ORIGINAL_DST clusters are not known before they are used, so they cannot be checked');
  return compileCheck(check, { report, ignoreNewHosts: message.commonLbConfig?.ignoreNewHostsUntilFirstHc ?? false });
}

interface Scope {
  readonly report: Report;
  readonly ignoreNewHosts: boolean;
}

function compileCheck(message: Message, { report, ignoreNewHosts }: Scope): HealthCheck {
  const path = 'health_checks[0]';
  checkFields(message, healthCheckFields, path, report);
  const positive = (duration: Duration | undefined, name: string): number => {
    const ms = durationMs(duration, 0);
    if (ms <= 0) report.refuse(`${path}.${name}`, 'is required, and more than zero');
    return Math.max(ms, 1);
  };
  const threshold = (value: number | undefined, name: string): number => {
    if (value === undefined) report.refuse(`${path}.${name}`, 'is required');
    return Math.max(1, value ?? 1);
  };
  const intervalMs = positive(message.interval, 'interval');
  const noTrafficIntervalMs = durationMs(message.noTrafficInterval, noTrafficMs);
  const unhealthyIntervalMs = durationMs(message.unhealthyInterval, intervalMs);
  if ((message.altPort ?? 0) > 65_535) report.refuse(`${path}.alt_port`, 'is not a port');
  return {
    kind: compileKind(message, path, report),
    timeoutMs: positive(message.timeout, 'timeout'), intervalMs,
    initialJitterMs: durationMs(message.initialJitter, 0), intervalJitterMs: durationMs(message.intervalJitter, 0), intervalJitterPercent: message.intervalJitterPercent,
    unhealthyThreshold: threshold(message.unhealthyThreshold, 'unhealthy_threshold'), healthyThreshold: threshold(message.healthyThreshold, 'healthy_threshold'),
    reuseConnection: message.reuseConnection ?? true,
    noTrafficIntervalMs, noTrafficHealthyIntervalMs: durationMs(message.noTrafficHealthyInterval, noTrafficIntervalMs),
    unhealthyIntervalMs, unhealthyEdgeIntervalMs: durationMs(message.unhealthyEdgeInterval, unhealthyIntervalMs), healthyEdgeIntervalMs: durationMs(message.healthyEdgeInterval, intervalMs),
    alwaysLogFailures: message.alwaysLogHealthCheckFailures, altPort: message.altPort ?? null,
    alpn: message.tlsOptions && message.tlsOptions.alpnProtocols.length > 0 ? message.tlsOptions.alpnProtocols : null,
    socketMatch: message.transportSocketMatchCriteria ?? null, ignoreNewHosts,
  };
}

const never: TcpCheck = { kind: 'tcp', send: null, receive: [] };

function compileKind(message: Message, path: string, report: Report): HealthCheck['kind'] {
  const checker = message.healthChecker;
  switch (checker?.$case) {
    case 'httpHealthCheck':
      return compileHttp(checker.value, `${path}.http_health_check`, report);
    case 'tcpHealthCheck':
      return compileTcp(checker.value, `${path}.tcp_health_check`, report);
    case 'grpcHealthCheck':
      return compileGrpc(checker.value, `${path}.grpc_health_check`, report);
    case 'customHealthCheck':
      return never;
    case undefined:
      report.refuse(path, 'needs http_health_check, tcp_health_check or grpc_health_check');
      return never;
  }
}

function compileHttp(message: HealthCheck_HttpHealthCheck, path: string, report: Report): HttpCheck {
  checkFields(message, httpCheckFields, path, report);
  if (!/^[\x21-\x7e]+$/.test(message.path)) report.refuse(`${path}.path`, message.path === '' ? 'is required' : 'is not a path');
  if (/[\r\n\0 ]/.test(message.host)) report.refuse(`${path}.host`, 'is not a host');
  if (message.codecClientType === 2) report.refuse(`${path}.codec_client_type`, 'there is no HTTP/3');
  if (message.method === RequestMethod.CONNECT) report.refuse(`${path}.method`, 'CONNECT is not a way of asking');
  const send = message.send ? payload(message.send, `${path}.send`, report) : null;
  const method = message.method === 0 ? 'GET' : (Object.entries(RequestMethod).find(([, value]) => value === message.method)?.[0] ?? 'GET');
  if (send !== null && !['POST', 'PUT', 'PATCH', 'OPTIONS'].includes(method)) report.refuse(`${path}.send`, `a ${method} request carries no body`);
  return {
    kind: 'http', protocol: message.codecClientType === 1 ? 'http2' : 'http1', method, host: message.host, path: message.path, send,
    receive: message.receive.map((part, i) => payload(part, `${path}.receive[${i}]`, report)),
    responseBufferBytes: Math.min(maxBufferBytes, Number(message.responseBufferSize ?? defaultBufferBytes) || maxBufferBytes),
    expectedStatuses: message.expectedStatuses.length === 0 ? [{ from: 200, to: 201 }] : ranges(message.expectedStatuses, `${path}.expected_statuses`, report),
    retriableStatuses: ranges(message.retriableStatuses, `${path}.retriable_statuses`, report),
    requestHeaders: compileHeaderOps(message.requestHeadersToAdd, message.requestHeadersToRemove, path, 'request_headers', report),
    serviceName: message.serviceNameMatcher ? report.take(compileStringMatcher(message.serviceNameMatcher, `${path}.service_name_matcher`), null) : null,
  };
}

function compileTcp(message: HealthCheck_TcpHealthCheck, path: string, report: Report): TcpCheck {
  checkFields(message, tcpCheckFields, path, report);
  return { kind: 'tcp', send: message.send ? payload(message.send, `${path}.send`, report) : null, receive: message.receive.map((part, i) => payload(part, `${path}.receive[${i}]`, report)) };
}

function compileGrpc(message: HealthCheck_GrpcHealthCheck, path: string, report: Report): GrpcCheck {
  checkFields(message, grpcCheckFields, path, report);
  return { kind: 'grpc', serviceName: message.serviceName, authority: message.authority, metadata: compileHeaderOps(message.initialMetadata, [], path, 'initial_metadata', report) };
}

/** Text is hexadecimal. */
function payload({ payload: value }: HealthCheck_Payload, path: string, report: Report): Buffer {
  if (value?.$case === 'binary') return value.value;
  if (value?.$case === 'text' && /^([0-9a-fA-F]{2})+$/.test(value.value)) return Buffer.from(value.value, 'hex');
  report.refuse(path, value ? `"${value.value}" is not hexadecimal` : 'needs text (hexadecimal) or binary');
  return Buffer.alloc(0);
}

function ranges(list: readonly Int64Range[], path: string, report: Report): StatusRange[] {
  return list.map(({ start, end }, i) => {
    if (start < 100n || end > 600n || start >= end) report.refuse(`${path}[${i}]`, `[${start}, ${end}) is not a range of statuses: 100 to 599, the end not included`);
    return { from: Number(start), to: Number(end) };
  });
}
