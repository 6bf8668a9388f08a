import type { Clock, Random } from '@meltemi/base';
import type { FlatStats } from '@meltemi/observe';
import { ClusterChecker, createProbe, type CheckTransport, type HealthCheckStats, type Host, type HostRows, type Http2CodecOptions, type SharedRow } from '@meltemi/proxy';
import type { Cluster, HealthCheck, SocketTarget } from '@meltemi/snapshot';
import { checkTransport } from '../transport/check-transport.ts';
import type { ClientTls } from '../transport/tls-client.ts';

/** What a cluster lends to its health checks. */
export interface CheckSource {
  readonly clock: Clock;
  readonly random: Random;
  readonly stats: FlatStats;
  /** The cluster as it is now. */
  cluster(): Cluster;
  /** The TLS context for checks of a host; `criteria` instead of its metadata where not null. */
  tlsOf(host: Host, criteria: Readonly<Record<string, unknown>> | null): ClientTls | null;
  hasTraffic(): boolean;
  onChecked(host: Host, passed: boolean, changed: boolean): void;
  onFirstRound(): void;
  readonly rows: HostRows;
  /** The cluster's row. */
  readonly row: SharedRow;
  log(fields: object, message: string): void;
}

/** Checks the hosts of a cluster over connections of their own, outside pools and their limits. */
export function startHealthChecks(config: HealthCheck, source: CheckSource): ClusterChecker {
  const stats = healthCheckStats(source.stats, source.cluster().statName);
  return new ClusterChecker(config, {
    clock: source.clock, random: source.random, stats, rows: source.rows, cluster: source.row,
    hasTraffic: () => source.hasTraffic(),
    onChecked: (host, passed, changed) => source.onChecked(host, passed, changed),
    onFirstRound: () => source.onFirstRound(),
    log: (host, event, reason) => source.log({ cluster: source.cluster().name, host: host.key, event, reason }, `health check: host ${event}`),
    probe: (host) => createProbe(config, {
      host, clusterName: source.cluster().name, secure: source.tlsOf(host, config.socketMatch) !== null, transport: transportTo(host, config, source), http2: codecOptions(source), onVerify: () => stats.verifyCluster.inc(),
    }),
  });
}

function transportTo(host: Host, config: HealthCheck, source: CheckSource): CheckTransport {
  const target = checkTarget(host, config);
  return checkTransport(() => {
    const { bindAddress, perConnectionBufferLimit, tcpKeepaliveMs } = source.cluster();
    return {
      target, connectTimeoutMs: config.timeoutMs + 1000, bufferLimit: perConnectionBufferLimit, tls: source.tlsOf(host, config.socketMatch), keepAliveMs: tcpKeepaliveMs,
      ...(config.alpn === null ? overHttp2(config) && { alpnFallback: ['h2'] } : { alpn: config.alpn }), ...(bindAddress !== null && { localAddress: bindAddress.address }),
    };
  });
}

function overHttp2({ kind }: HealthCheck): boolean {
  return kind.kind === 'grpc' || (kind.kind === 'http' && kind.protocol === 'http2');
}

function codecOptions(source: CheckSource): Http2CodecOptions {
  const { clock, random } = source;
  const { http } = source.cluster();
  return {
    http2: http.http2, limits: { maxHeadBytes: 60 * 1024, maxFields: http.maxHeadersCount }, lingerMs: 1000, random, now: () => clock.monotonic(), after: (delayMs, task) => clock.after(delayMs, task),
  };
}

function checkTarget({ endpoint }: Host, { altPort }: HealthCheck): SocketTarget {
  const target = endpoint.healthCheck?.target ?? endpoint.target;
  const port = endpoint.healthCheck?.port ?? (endpoint.healthCheck?.target ? null : altPort);
  return target.kind === 'ip' && port !== null ? { ...target, port } : target;
}

function healthCheckStats(stats: FlatStats, name: string): HealthCheckStats {
  const counter = (stat: string) => stats.counter(`cluster.${name}.health_check.${stat}`);
  const gauge = (stat: string) => stats.gauge(`cluster.${name}.health_check.${stat}`);
  return {
    attempt: counter('attempt'), success: counter('success'), failure: counter('failure'), passiveFailure: counter('passive_failure'), networkFailure: counter('network_failure'),
    verifyCluster: counter('verify_cluster'), healthy: gauge('healthy'), degraded: gauge('degraded'),
  };
}
