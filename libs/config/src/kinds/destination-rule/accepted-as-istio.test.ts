import { table, type Bad } from '../../testing/verdict.ts';
import { destinationRule } from './kind.ts';

const policy = (fields: string): string => `{host: reviews, trafficPolicy: {${fields}}}`;
const policies = (rows: readonly (readonly [name: string, fields: string, path: string, reason: RegExp])[]): Bad[] =>
  rows.map(([name, fields, path, reason]) => [name, policy(fields), `spec.trafficPolicy.${path}`, reason]);
const hash = (fields: string): string => policy(`loadBalancer: {consistentHash: {useSourceIp: true, ${fields}}}`);

table(destinationRule, {
  good: [
    ['a Maglev table of one', hash('maglev: {tableSize: 1}')],
    ['a budget counted at once', policy('retryBudget: {percent: 20, budgetInterval: 0s}')],
    ['a budget finer than milliseconds', policy('retryBudget: {budgetInterval: 1500us}')],
    ['a ConfigMap of the own namespace', policy('tls: {mode: SIMPLE, credentialName: "configmap://shop/roots"}')],
    ['statuses that count as errors', policy('outlierDetection: {outlierDetectionHttpErrorCodes: [100, 429, 599]}')],
    ['cookie attributes', policy('loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 0s, attributes: [{name: SameSite, value: Lax}, {name: Secure}]}}}')],
    ['no idle timeout for TCP', policy('connectionPool: {tcp: {idleTimeout: 0s}}')],
    ['an exclusive mode without files', policy('tls: {mode: SIMPLE}')],
  ],
  bad: [
    ['a selector with a wildcard', '{host: a, workloadSelector: {matchLabels: {app: "a*"}}}', 'spec.workloadSelector.matchLabels.app', /wildcards/],
    ['a selector value of 64 letters', `{host: a, workloadSelector: {matchLabels: {app: ${'a'.repeat(64)}}}}`, 'spec.workloadSelector.matchLabels.app', /63/],
    ...policies([
      ['a table of 4', 'loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 4}}}', 'loadBalancer.consistentHash.maglev.tableSize', /prime/],
      ['a table of 0', 'loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 0}}}', 'loadBalancer.consistentHash.maglev.tableSize', /prime/],
      ['a table beyond Envoy’s', 'loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 5000011}}}', 'loadBalancer.consistentHash.maglev.tableSize', /less than/],
      ['both sizes of a ring', 'loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 5, ringHash: {minimumRingSize: 5}}}', 'loadBalancer.consistentHash.minimumRingSize', /beside/],
      ['a cookie attribute twice', 'loadBalancer: {consistentHash: {httpCookie: {name: a, attributes: [{name: b}, {name: b}]}}}', 'loadBalancer.consistentHash.httpCookie.attributes[1].name', /repeats/],
      ['a cookie attribute without name', 'loadBalancer: {consistentHash: {httpCookie: {name: a, attributes: [{value: b}]}}}', 'loadBalancer.consistentHash.httpCookie.attributes[0].name', /required/],
      ['status 99 as an error', 'outlierDetection: {outlierDetectionHttpErrorCodes: [99]}', 'outlierDetection.outlierDetectionHttpErrorCodes[0]', /100…599/],
      ['status 600 as an error', 'outlierDetection: {outlierDetectionHttpErrorCodes: [600]}', 'outlierDetection.outlierDetectionHttpErrorCodes[0]', /100…599/],
      ['an interval of 0', 'outlierDetection: {interval: 0s}', 'outlierDetection.interval', /1ms/],
      ['a warmup of 0', 'loadBalancer: {warmup: {duration: 0s}}', 'loadBalancer.warmup.duration', /1ms/],
      ['a warmup to 101 percent', 'loadBalancer: {warmup: {duration: 1s, minimumPercent: 101}}', 'loadBalancer.warmup.minimumPercent', /100/],
      ['a warmup without aggression', 'loadBalancer: {warmup: {duration: 1s, aggression: 0}}', 'loadBalancer.warmup.aggression', /greater than 0/],
      ['a connect timeout of half a millisecond', 'connectionPool: {tcp: {connectTimeout: 500us}}', 'connectionPool.tcp.connectTimeout', /1ms/],
      ['a keepalive of 0', 'connectionPool: {tcp: {tcpKeepalive: {time: 0s}}}', 'connectionPool.tcp.tcpKeepalive.time', /1ms/],
      ['upgrading and asking the client', 'connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}', 'connectionPool.http.useClientProtocol', /UPGRADE/],
      ['two locality settings', 'loadBalancer: {localityLbSetting: {enabled: true}, zoneAwareLbSetting: {enabled: true}}', 'loadBalancer.zoneAwareLbSetting', /beside/],
      ['zones by label beside zone awareness', 'outlierDetection: {}, loadBalancer: {zoneAwareLbSetting: {failoverPriority: [topology.kubernetes.io/zone]}}', 'loadBalancer.zoneAwareLbSetting.failoverPriority[0]', /by itself/],
      ['a cluster of 0', 'loadBalancer: {zoneAwareLbSetting: {minClusterSize: 0}}', 'loadBalancer.zoneAwareLbSetting.minClusterSize', /range 1/],
      ['distribute and failover', 'outlierDetection: {}, loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 100}}], failover: [{from: a, to: b}]}}', 'loadBalancer.localityLbSetting.failover', /beside distribute/],
      ['failover to a zone', 'outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a, to: b/c}]}}', 'loadBalancer.localityLbSetting.failover[0]', /regions/],
      ['localities that overlap', 'loadBalancer: {localityLbSetting: {distribute: [{from: "a/*", to: {b: 100}}, {from: a/c, to: {b: 100}}]}}', 'loadBalancer.localityLbSetting.distribute', /overlaps/],
      ['a ConfigMap of another namespace', 'tls: {mode: SIMPLE, credentialName: "configmap://other/roots"}', 'tls.credentialName', /own namespace/],
      ['a ConfigMap without namespace', 'tls: {mode: SIMPLE, credentialName: "configmap://roots"}', 'tls.credentialName', /configmap:\/\/namespace\/name/],
      ['a negative budget', 'retryBudget: {budgetInterval: -1s}', 'retryBudget.budgetInterval', /negative/],
      ['a tunnel to nowhere', 'tunnel: {targetHost: a, targetPort: 0}', 'tunnel.targetPort', /65535/],
      ['a PROXY protocol of 3', 'proxyProtocol: {version: V3}', 'proxyProtocol.version', /one of V1, V2/],
      ['an empty port setting', 'portLevelSettings: [{port: {number: 80}}]', 'portLevelSettings[0]', /at least one/],
    ]),
  ],
  warns: [
    ['a subset label of 64 letters', `{host: a, subsets: [{name: v1, labels: {version: ${'a'.repeat(64)}}}]}`, 'spec.subsets[0].labels.version', /matches nothing/],
    ['both warmups', policy('loadBalancer: {simple: ROUND_ROBIN, warmupDurationSecs: 5s, warmup: {duration: 1s}}'), 'spec.trafficPolicy.loadBalancer.warmupDurationSecs', /beside warmup/],
    ['LEAST_CONN', policy('loadBalancer: {simple: LEAST_CONN}'), 'spec.trafficPolicy.loadBalancer.simple', /LEAST_REQUEST/],
    ['a ring size at its old place', hash('minimumRingSize: 5'), 'spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize', /ringHash/],
    ['an empty selector', '{host: a, workloadSelector: {}}', 'spec.workloadSelector.matchLabels', /every workload/],
  ],
});

table(destinationRule, {
  good: [['balancing by reported load', policy('loadBalancer: {backendUtilization: {weightUpdatePeriod: 1s, metricNamesForComputingUtilization: [a]}}')]],
  bad: [['two ways to balance', policy('loadBalancer: {simple: RANDOM, backendUtilization: {}}'), 'spec.trafficPolicy.loadBalancer', /only one of/]],
  warns: [['that nothing reads reported load', policy('loadBalancer: {backendUtilization: {}}'), 'spec.trafficPolicy.loadBalancer.backendUtilization', /no effect/]],
});
