import { TcpProxy, type TcpProxy_WeightedCluster } from '@meltemi/api/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import type { HashPolicy as HashMessage } from '@meltemi/api/gen/envoy/type/v3/hash_policy.ts';
import { checkFields, durationMs, metadataCriteria, type HashPolicy, type MetadataCriteria, type Report } from '@meltemi/route';
import { compileAccessLogs } from './access-log.ts';
import { decodeAt, type Context } from './context.ts';
import { tcpClusterWeightFields, tcpProxyFields } from './listener-tables.ts';
import { compileTunneling } from './tunneling.ts';
import type { TcpProxyConfig, WeightedTarget } from './listener-types.ts';

export const tcpProxyUrl = 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';
const hourMs = 3_600_000;

/** Compiles a TcpProxy filter; null when its bytes are broken. */
export function compileTcpProxy(bytes: Uint8Array, path: string, context: Context): TcpProxyConfig | null {
  const message = decodeAt(TcpProxy, bytes, path, context.report);
  if (!message) return null;
  checkFields(message, tcpProxyFields, path, context.report);
  if (message.maxConnectAttempts === 0) context.report.refuse(`${path}.max_connect_attempts`, 'must be at least 1');
  const clusters = compileTargets(message, path, context);
  for (const target of clusters) context.clusterNames.add(target.cluster);
  return {
    statPrefix: message.statPrefix,
    clusters,
    totalWeight: clusters.at(-1)?.upTo ?? 0,
    idleTimeoutMs: durationMs(message.idleTimeout, hourMs),
    maxConnectAttempts: message.maxConnectAttempts ?? 1,
    maxDownstreamConnectionDurationMs: durationMs(message.maxDownstreamConnectionDuration, 0),
    accessLogs: compileAccessLogs(message.accessLog, `${path}.access_log`, context),
    flushAccessLogOnConnected: message.accessLogOptions?.flushAccessLogOnConnected ?? message.flushAccessLogOnConnected,
    accessLogFlushIntervalMs: durationMs(message.accessLogOptions?.accessLogFlushInterval ?? message.accessLogFlushInterval, 0),
    hashPolicy: message.hashPolicy.flatMap((policy, i) => hashPolicy(policy, `${path}.hash_policy[${i}]`, context.report)),
    tunneling: message.tunnelingConfig ? compileTunneling(message.tunnelingConfig, `${path}.tunneling_config`, context.report) : null,
  };
}

function compileTargets(message: TcpProxy, path: string, context: Context): WeightedTarget[] {
  const shared = metadataCriteria(message.metadataMatch);
  const specifier = message.clusterSpecifier;
  if (specifier?.$case === 'cluster') {
    if (specifier.value === '') context.report.refuse(`${path}.cluster`, 'is required');
    return [{ cluster: specifier.value, upTo: 1, metadataMatch: shared }];
  }
  if (specifier?.$case === 'weightedClusters') return weightedTargets(specifier.value, shared, `${path}.weighted_clusters`, context);
  context.report.refuse(path, 'needs a cluster or weighted_clusters');
  return [];
}

function weightedTargets(weighted: TcpProxy_WeightedCluster, shared: MetadataCriteria | null, path: string, context: Context): WeightedTarget[] {
  let sum = 0;
  const targets = weighted.clusters.flatMap((cluster, i) => {
    const at = `${path}.clusters[${i}]`;
    checkFields(cluster, tcpClusterWeightFields, at, context.report);
    if (cluster.name === '') context.report.refuse(`${at}.name`, 'is required');
    if (cluster.weight < 1) context.report.refuse(`${at}.weight`, 'must be at least 1');
    sum += cluster.weight;
    return [{ cluster: cluster.name, upTo: sum, metadataMatch: metadataCriteria(cluster.metadataMatch, shared) }];
  });
  if (targets.length === 0) context.report.refuse(`${path}.clusters`, 'needs at least one cluster');
  return targets;
}

function hashPolicy(policy: HashMessage, path: string, report: Report): HashPolicy[] {
  if (policy.policySpecifier?.$case === 'sourceIp') return [{ kind: 'source-ip', terminal: false }];
  report.refuse(path, policy.policySpecifier ? 'hashing by filter state is not supported: use source_ip' : 'needs source_ip');
  return [];
}
