import { list, map, object, stringMap, strings } from '../../schema/containers.ts';
import { bool, double, duration, int, oneOf, someTime, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { matchLabelsSelector, portSelector } from '../schema.ts';
import type * as dr from './types.ts';

const failover = list(object<dr.LocalityFailover>({ from: string(), to: string() }));

export const localityLbSetting = object<dr.LocalityLoadBalancerSetting>({
  distribute: list(object<dr.LocalityDistribute>({ from: string(), to: map(int('uint32')) })),
  failover,
  failoverPriority: strings(),
  enabled: optional(bool()),
});

export const zoneAwareLbSetting = object<dr.ZoneAwareLoadBalancerSetting>({
  enabled: optional(bool()),
  failover,
  failoverPriority: strings(),
  minClusterSize: optional(int('uint64', { min: 1, max: 4_294_967_295 })),
});

const consistentHash = object<dr.ConsistentHashLb>(
  {
    httpHeaderName: optional(string()),
    httpCookie: optional(
      object<dr.HttpCookie>({
        name: required(string()),
        path: string(),
        ttl: optional(duration()),
        attributes: list(object<{ readonly name: string; readonly value: string }>({ name: required(string()), value: string() })),
      }),
    ),
    useSourceIp: optional(bool()),
    httpQueryParameterName: optional(string()),
    ringHash: optional(object<{ readonly minimumRingSize: number }>({ minimumRingSize: int('uint64') })),
    maglev: optional(object<{ readonly tableSize: number }>({ tableSize: int('uint64') })),
    minimumRingSize: int('uint64'),
  },
  { oneofs: [{ keys: ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'] }, { keys: ['ringHash', 'maglev'] }] },
);

const backendUtilization = object<dr.BackendUtilizationLb>({
  errorUtilizationPenaltyPercent: int('uint32'),
  metricNamesForComputingUtilization: strings(),
  weightExpirationPeriod: optional(duration()),
  weightStabilizationPeriod: optional(duration()),
  weightUpdatePeriod: optional(duration()),
});

const loadBalancer = object<dr.LoadBalancerSettings>(
  {
    simple: optional(oneOf(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'])),
    consistentHash: optional(consistentHash),
    backendUtilization: optional(backendUtilization),
    localityLbSetting: optional(localityLbSetting),
    zoneAwareLbSetting: optional(zoneAwareLbSetting),
    warmupDurationSecs: optional(someTime()),
    warmup: optional(
      object<dr.WarmupConfiguration>({
        duration: required(someTime()),
        minimumPercent: optional(double({ min: 0, max: 100 })),
        aggression: optional(double({ min: 0 })),
      }),
    ),
  },
  { oneofs: [{ keys: ['simple', 'consistentHash', 'backendUtilization'] }] },
);

export const tcpKeepalive = object<dr.TcpKeepalive>({ probes: int('uint32'), time: optional(someTime()), interval: optional(someTime()) });

export const connectionPool = object<dr.ConnectionPoolSettings>({
  tcp: optional(
    object<dr.TcpSettings>({
      maxConnections: int('int32'),
      connectTimeout: optional(someTime()),
      tcpKeepalive: optional(tcpKeepalive),
      maxConnectionDuration: optional(someTime()),
      idleTimeout: optional(duration()),
    }),
  ),
  http: optional(
    object<dr.HttpSettings>({
      http1MaxPendingRequests: int('int32'),
      http2MaxRequests: int('int32'),
      maxRequestsPerConnection: int('int32'),
      maxRetries: int('int32'),
      idleTimeout: optional(someTime()),
      h2UpgradePolicy: oneOf(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']),
      useClientProtocol: bool(),
      maxConcurrentStreams: int('int32'),
      http2KeepAlive: optional(
        object<{ readonly interval?: number; readonly timeout?: number }>({ interval: optional(someTime()), timeout: optional(someTime()) }),
      ),
    }),
  ),
});

export const outlierDetection = object<dr.OutlierDetection>({
  consecutiveErrors: int('int32'),
  splitExternalLocalOriginErrors: bool(),
  consecutiveLocalOriginFailures: optional(int('uint32')),
  consecutiveGatewayErrors: optional(int('uint32')),
  consecutive5xxErrors: optional(int('uint32')),
  interval: optional(someTime()),
  baseEjectionTime: optional(someTime()),
  maxEjectionPercent: int('int32'),
  minHealthPercent: int('int32'),
  outlierDetectionHttpErrorCodes: list(int('uint32', { min: 100, max: 599 })),
});

export const clientTls = object<dr.ClientTlsSettings>({
  mode: oneOf(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']),
  clientCertificate: string(),
  privateKey: string(),
  caCertificates: string(),
  credentialName: string(),
  subjectAltNames: strings(),
  sni: string(),
  insecureSkipVerify: optional(bool()),
  caCrl: string(),
});

const shared = {
  loadBalancer: optional(loadBalancer),
  connectionPool: optional(connectionPool),
  outlierDetection: optional(outlierDetection),
  tls: optional(clientTls),
};

const trafficPolicy = object<dr.TrafficPolicy>({
  ...shared,
  portLevelSettings: list(object<dr.PortTrafficPolicy>({ ...shared, port: optional(portSelector) }), { maxItems: 4096 }),
  tunnel: optional(
    object<dr.TunnelSettings>({ protocol: string(), targetHost: required(string()), targetPort: required(int('uint32')) }),
  ),
  proxyProtocol: optional(object<{ readonly version: 'V1' | 'V2' }>({ version: oneOf(['V1', 'V2']) })),
  retryBudget: optional(
    object<dr.RetryBudget>({
      percent: optional(double({ min: 0, max: 100 })),
      minRetryConcurrency: int('uint32'),
      budgetInterval: optional(duration()),
    }),
  ),
});

export const schema = object<dr.DestinationRuleSpec>({
  host: required(string()),
  trafficPolicy: optional(trafficPolicy),
  subsets: list(object<dr.Subset>({ name: required(string()), labels: stringMap(), trafficPolicy: optional(trafficPolicy) })),
  exportTo: strings(),
  workloadSelector: optional(matchLabelsSelector),
});
