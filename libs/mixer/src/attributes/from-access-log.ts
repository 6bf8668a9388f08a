import { fail, ok, type Result } from '@meltemi/base';
import type { Address, SocketAddress } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import { RequestMethod } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { AccessLogType, type AccessLogCommon, type HTTPAccessLogEntry, type TCPAccessLogEntry } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import type { Duration } from '@meltemi/api/gen/google/protobuf/duration.ts';
import type { ConnectionTracker } from './connection-tracker.ts';
import { peerFields, peerMetadataKey } from './peer-fields.ts';
import { isRecord, ownAttributes, text, type Reporter } from './reporter.ts';
import { formatResponseFlags } from './response-flags.ts';
import { inbound, outbound, type AttributeName, type Attributes, type AttributeValue } from './vocabulary.ts';

type Bag = Map<AttributeName, AttributeValue>;

/** A finished request as attributes; undefined for entries about a request still under way, which the last entry repeats. */
export function httpAttributes(entry: HTTPAccessLogEntry, reporter: Reporter): Result<Attributes | undefined> {
  const common = entry.commonProperties;
  if (!common) return fail('common_properties', 'is missing');
  const type = common.accessLogType;
  const whole = type === AccessLogType.NotSet || type === AccessLogType.DownstreamEnd;
  if (common.intermediateLogEntry || !whole) return ok(undefined);
  const bag = commonAttributes(common, reporter);
  if (!bag.ok) return bag;
  const { request, response } = entry;
  const headers = { ...response?.responseHeaders, ...response?.responseTrailers };
  const grpc = `${request?.requestHeaders['content-type'] ?? headers['content-type'] ?? ''}`.startsWith('application/grpc');
  setMissing(bag.value, [
    ['context.protocol', grpc ? 'grpc' : 'http'],
    ['request.id', text(request?.requestId)],
    ['request.method', methodName(request?.requestMethod)],
    ['request.host', text(request?.authority)],
    ['request.path', text(request?.originalPath) || text(request?.path)],
    ['request.url_path', (request?.path ?? '').split(/[?#]/, 1)[0] ?? ''],
    ['response.code_details', text(response?.responseCodeDetails)],
    ['request.useragent', text(request?.userAgent)],
    ['request.size', Number(request?.requestBodyBytes ?? 0n)],
    ['response.code', response?.responseCode ?? 0],
    ['response.size', Number(response?.responseBodyBytes ?? 0n)],
    ['response.duration', milliseconds(common.duration) ?? milliseconds(common.timeToLastDownstreamTxByte) ?? 0],
    ['response.grpc_status', text(headers['grpc-status'])],
  ]);
  return ok(bag.value);
}

/** What a TCP entry says: one event, or two when a connection is first heard of at its end. */
export function tcpAttributes(entry: TCPAccessLogEntry, reporter: Reporter, connections: ConnectionTracker): Result<Attributes[]> {
  const common = entry.commonProperties;
  if (!common) return fail('common_properties', 'is missing');
  const bag = commonAttributes(common, reporter);
  if (!bag.ok) return bag;
  setMissing(bag.value, [
    ['context.protocol', 'tcp'],
    ['connection.id', text(common.streamId)],
    ['connection.duration', milliseconds(common.duration) ?? 0],
    ['response.code_details', text(common.connectionTerminationDetails)],
  ]);
  const seen = connections.observe(common.streamId, {
    ended: endTypes.has(common.accessLogType),
    receivedBytes: Number(entry.connectionProperties?.receivedBytes ?? 0n),
    sentBytes: Number(entry.connectionProperties?.sentBytes ?? 0n),
  });
  return ok(
    seen.map(({ event, receivedBytes, sentBytes }) => {
      const one: Bag = new Map(bag.value);
      one.set('connection.event', event);
      one.set('connection.received.bytes', receivedBytes);
      one.set('connection.sent.bytes', sentBytes);
      return one;
    }),
  );
}

const endTypes: ReadonlySet<AccessLogType> = new Set([AccessLogType.NotSet, AccessLogType.TcpConnectionEnd, AccessLogType.DownstreamEnd]);

/** Both ends and the connection. The peer metadata wins over guesses, but never moves the reporter itself into another namespace. */
function commonAttributes(common: AccessLogCommon, reporter: Reporter): Result<Bag> {
  const bag: Bag = new Map();
  const peer: unknown = common.metadata?.filterMetadata[peerMetadataKey];
  const known = isRecord(peer) ? peer : {};
  for (const [field, attribute] of peerFields) {
    const value = text(known[field]);
    if (value !== '' && value !== 'unknown') bag.set(attribute, value);
  }
  const side = reporterSide(known, common);
  const claimed = bag.get(`${side}.workload.namespace`);
  if (claimed !== undefined && claimed !== reporter.namespace) return fail(`metadata.${side}_workload_namespace`, `says "${claimed}", but the reporter is in "${reporter.namespace}"`);
  if (reporter.principal !== '') bag.set(`${side}.principal`, reporter.principal);
  setMissing(bag, ownAttributes(reporter, side));
  assumeSameCluster(bag, side);
  setMissing(bag, [
    ['context.reporter.kind', side === 'source' ? outbound : inbound],
    ['context.reporter.uid', reporter.id],
    ['context.proxy_error_code', formatResponseFlags(common.responseFlags)],
    ['request.time', common.startTime ? Number(common.startTime.seconds) * 1000 + common.startTime.nanos / 1e6 : 0],
    ['request.messages', count(known['request_messages'])],
    ['response.messages', count(known['response_messages'])],
    ['source.ip', text(socketOf(common.downstreamDirectRemoteAddress)?.address)],
    ['destination.port', portOf(common.downstreamLocalAddress)],
  ]);
  setMissing(bag, serviceOfCluster(common.upstreamCluster, side));
  if (typeof known['counted'] === 'boolean') bag.set('context.reporter.counted', known['counted']);
  setSecurity(bag, known, common, side);
  return ok(bag);
}

function socketOf(address: Address | undefined): SocketAddress | undefined {
  return address?.address?.$case === 'socketAddress' ? address.address.value : undefined;
}

function portOf(address: Address | undefined): number {
  const port = socketOf(address)?.portSpecifier;
  return port?.$case === 'portValue' ? port.value : 0;
}

/** A peer that does not say its cluster is in the reporter's: else one workload would show up twice in the graph. */
function assumeSameCluster(bag: Bag, side: 'source' | 'destination'): void {
  const other = side === 'source' ? 'destination' : 'source';
  if (bag.has(`${other}.workload.name`)) setMissing(bag, [[`${other}.cluster`, bag.get(`${side}.cluster`) ?? '']]);
}

function reporterSide(peer: Record<string, unknown>, common: AccessLogCommon): 'source' | 'destination' {
  if (peer['reporter'] === 'source' || peer['reporter'] === 'destination') return peer['reporter'];
  return /^inbound\||^InboundPassthroughCluster/.test(common.upstreamCluster) ? 'destination' : 'source';
}

/** Istio's outbound cluster names carry the host: outbound|9080|v1|reviews.default.svc.cluster.local. PassthroughCluster and BlackHoleCluster name themselves. */
function serviceOfCluster(cluster: string, side: 'source' | 'destination'): [AttributeName, string][] {
  if (side === 'destination') return [];
  const [direction, , , host] = cluster.split('|');
  if (direction !== 'outbound' || host === undefined) return cluster === '' || cluster.includes('|') ? [] : [['destination.service.host', text(cluster)], ['destination.service.name', text(cluster)]];
  const [name = '', namespace = '', kind] = host.split('.');
  return kind === 'svc' ? [['destination.service.host', text(host)], ['destination.service.name', name], ['destination.service.namespace', namespace]] : [['destination.service.host', text(host)], ['destination.service.name', text(host)]];
}

function setSecurity(bag: Bag, peer: Record<string, unknown>, common: AccessLogCommon, side: 'source' | 'destination'): void {
  const tls = common.tlsProperties;
  const uri = tls?.peerCertificateProperties?.subjectAltName.find(({ san }) => san?.$case === 'uri')?.san?.value;
  if (side === 'destination' && uri !== undefined) setMissing(bag, [['source.principal', text(uri)]]);
  const policy = peer['connection_security_policy'];
  if (policy === 'mutual_tls' || policy === 'none') bag.set('connection.mtls', policy === 'mutual_tls');
  else if (side === 'destination' && policy === undefined) bag.set('connection.mtls', uri !== undefined);
}

function setMissing(bag: Bag, entries: readonly (readonly [AttributeName, AttributeValue])[]): void {
  for (const [name, value] of entries) if (value !== '' && !bag.has(name)) bag.set(name, value);
}

const methodNames = new Map<number, string>(Object.entries(RequestMethod).map(([name, value]) => [value, name]));

function methodName(method: number | undefined): string {
  const name = methodNames.get(method ?? 0) ?? '';
  return name === 'METHOD_UNSPECIFIED' || name === 'UNRECOGNIZED' ? '' : name;
}

/** Never negative: a clock that was set back must not pull a sum down. */
function milliseconds(duration: Duration | undefined): number | undefined {
  return duration && Math.max(0, Number(duration.seconds) * 1000 + duration.nanos / 1e6);
}

function count(value: unknown): number {
  return typeof value === 'number' && value > 0 && Number.isSafeInteger(value) ? value : 0;
}
