import { checkDurations } from '../../rules/durations.ts';
import type { Findings } from '../../rules/findings.ts';
import type { ConnectionPoolSettings, HttpSettings, OutlierDetection, TcpSettings } from './types.ts';

export function checkConnectionPool(pool: ConnectionPoolSettings | undefined, path: string, findings: Findings): void {
  if (!pool) return;
  if (!pool.http && !pool.tcp) findings.error(path, 'needs http or tcp');
  if (pool.http) checkHttp(pool.http, `${path}.http`, findings);
  if (pool.tcp) checkTcp(pool.tcp, `${path}.tcp`, findings);
}

function checkHttp(http: HttpSettings, path: string, findings: Findings): void {
  checkLimits(http, ['http1MaxPendingRequests', 'http2MaxRequests', 'maxRequestsPerConnection', 'maxRetries', 'maxConcurrentStreams'], { path, findings });
  checkDurations(http, ['idleTimeout'], { path, findings });
  if (http.h2UpgradePolicy === 'UPGRADE' && http.useClientProtocol)
    findings.error(`${path}.useClientProtocol`, 'cannot be true while h2UpgradePolicy is UPGRADE');
  const keepAlive = http.http2KeepAlive;
  if (!keepAlive) return;
  for (const field of ['interval', 'timeout'] as const) if (keepAlive[field] === undefined) findings.error(`${path}.http2KeepAlive.${field}`, 'is required');
  checkDurations(keepAlive, ['interval', 'timeout'], { path: `${path}.http2KeepAlive`, findings });
}

function checkTcp(tcp: TcpSettings, path: string, findings: Findings): void {
  checkLimits(tcp, ['maxConnections'], { path, findings });
  checkDurations(tcp, ['connectTimeout', 'maxConnectionDuration'], { path, findings });
  // 0 switches this timeout off.
  if (tcp.idleTimeout !== 0) checkDurations(tcp, ['idleTimeout'], { path, findings });
  if (tcp.tcpKeepalive) checkDurations(tcp.tcpKeepalive, ['time', 'interval'], { path: `${path}.tcpKeepalive`, findings });
}

function checkLimits<T>(settings: T, names: readonly (keyof T & string)[], { path, findings }: { path: string; findings: Findings }): void {
  for (const name of names) {
    const value = settings[name];
    if (typeof value === 'number' && value < 0) findings.error(`${path}.${name}`, `must not be negative, found ${value}`);
  }
}

export function checkOutlierDetection(outlier: OutlierDetection | undefined, path: string, findings: Findings): void {
  if (!outlier) return;
  checkDurations(outlier, ['baseEjectionTime', 'interval'], { path, findings });
  if (outlier.consecutiveErrors !== 0) findings.warn(`${path}.consecutiveErrors`, 'is deprecated: use consecutive5xxErrors or consecutiveGatewayErrors');
  if (!outlier.splitExternalLocalOriginErrors && (outlier.consecutiveLocalOriginFailures ?? 0) > 0)
    findings.error(`${path}.consecutiveLocalOriginFailures`, 'counts only while splitExternalLocalOriginErrors is true');
  for (const field of ['maxEjectionPercent', 'minHealthPercent'] as const)
    if (outlier[field] < 0 || outlier[field] > 100) findings.error(`${path}.${field}`, `must be in the range 0…100, found ${outlier[field]}`);
}
