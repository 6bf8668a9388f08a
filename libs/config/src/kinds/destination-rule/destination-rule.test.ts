import { table, type Bad } from '../../testing/verdict.ts';
import { destinationRule } from './kind.ts';

const policy = (fields: string): string => `{host: reviews, trafficPolicy: {${fields}}}`;
const policies = (rows: readonly (readonly [name: string, fields: string, path: string, reason: RegExp])[]): Bad[] =>
  rows.map(([name, fields, path, reason]) => [name, policy(fields), path === '' ? 'spec.trafficPolicy' : `spec.trafficPolicy.${path}`, reason]);

table(destinationRule, {
  good: [
    ['subsets', '{host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]}'],
    ['mutual TLS of the mesh', policy('tls: {mode: ISTIO_MUTUAL}')],
    ['TLS by secret', policy('tls: {mode: MUTUAL, credentialName: client}')],
    ['pool and outlier detection', policy('connectionPool: {tcp: {maxConnections: 1, connectTimeout: 30ms, idleTimeout: 0s}, http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}}, outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100}')],
    ['a hash by cookie', policy('loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 0s}, maglev: {tableSize: 65537}}}')],
    ['locality shares', policy('loadBalancer: {localityLbSetting: {distribute: [{from: "us/a/*", to: {"us/a/*": 80, "us/b/*": 20}}]}}')],
    ['a port of its own', policy('portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: LEAST_REQUEST}}]')],
    ['a wildcard host', '{host: "*.svc.cluster.local", trafficPolicy: {tls: {mode: DISABLE}}}'],
    ['the own namespace with a selector', '{host: a, workloadSelector: {matchLabels: {app: a}}, exportTo: [.]}'],
  ],
  bad: [
    ['no host', '{subsets: []}', 'spec.host', /required/],
    ['an IP as host', '{host: "10.0.0.1"}', 'spec.host', /host name/],
    ['a subset twice', '{host: a, subsets: [{name: v1}, {name: v1}]}', 'spec.subsets[1].name', /already/],
    ['a subset without name', '{host: a, subsets: [{labels: {a: b}}]}', 'spec.subsets[0].name', /required/],
    ['a label value with a space', '{host: a, subsets: [{name: v1, labels: {a: "b c"}}]}', 'spec.subsets[0].labels.a', /label value/],
    ['a number as label', '{host: a, subsets: [{name: v1, labels: {version: 1}}]}', 'spec.subsets[0].labels.version', /quote it: "1"/],
    ['a selector beyond its namespace', '{host: a, workloadSelector: {matchLabels: {app: a}}, exportTo: ["*"]}', 'spec.exportTo[0]', /own namespace/],
    ...policies([
      ['an empty policy', '', '', /at least one/],
      ['an unknown balancer', 'loadBalancer: {simple: ROUNDROBIN}', 'loadBalancer.simple', /did you mean "ROUND_ROBIN"/],
      ['a balancer in small letters', 'loadBalancer: {simple: random}', 'loadBalancer.simple', /RANDOM/],
      ['simple and hash', 'loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}', 'loadBalancer', /only one of/],
      ['two hash keys', 'loadBalancer: {consistentHash: {useSourceIp: true, httpHeaderName: a}}', 'loadBalancer.consistentHash', /only one of/],
      ['a table that is not prime', 'loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65536}}}', 'loadBalancer.consistentHash.maglev.tableSize', /prime/],
      ['a cookie without name', 'loadBalancer: {consistentHash: {httpCookie: {ttl: 1s}}}', 'loadBalancer.consistentHash.httpCookie.name', /required/],
      ['shares of 90', 'loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 90}}]}}', 'loadBalancer.localityLbSetting.distribute[0].to', /100/],
      ['failover to itself', 'outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a, to: a}]}}', 'loadBalancer.localityLbSetting.failover[0]', /different/],
      ['warmup without duration', 'loadBalancer: {warmup: {aggression: 1}}', 'loadBalancer.warmup.duration', /required/],
      ['mutual TLS without a key', 'tls: {mode: MUTUAL, clientCertificate: /c}', 'tls.privateKey', /required/],
      ['secret and file', 'tls: {mode: SIMPLE, credentialName: a, caCertificates: /c}', 'tls.caCertificates', /credentialName/],
      ['skipping what is configured', 'tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}', 'tls.subjectAltNames', /insecureSkipVerify/],
      ['a negative limit', 'connectionPool: {tcp: {maxConnections: -1}}', 'connectionPool.tcp.maxConnections', /negative/],
      ['an empty pool', 'connectionPool: {}', 'connectionPool', /http or tcp/],
      ['keepalive without timeout', 'connectionPool: {http: {http2KeepAlive: {interval: 1s}}}', 'connectionPool.http.http2KeepAlive.timeout', /required/],
      ['ejecting 101 percent', 'outlierDetection: {maxEjectionPercent: 101}', 'outlierDetection.maxEjectionPercent', /100/],
      ['local origin failures nobody counts', 'outlierDetection: {consecutiveLocalOriginFailures: 1}', 'outlierDetection.consecutiveLocalOriginFailures', /splitExternal/],
      ['a port setting without port', 'portLevelSettings: [{tls: {mode: DISABLE}}]', 'portLevelSettings[0].port', /required/],
      ['tunnel and PROXY protocol', 'tunnel: {targetHost: a, targetPort: 1}, proxyProtocol: {version: V2}', 'proxyProtocol', /tunnel/],
      ['a tunnel by GET', 'tunnel: {protocol: GET, targetHost: a, targetPort: 1}', 'tunnel.protocol', /CONNECT/],
      ['a budget of 101 percent', 'retryBudget: {percent: 101}', 'retryBudget.percent', /100/],
    ]),
  ],
  warns: [
    ['consecutiveErrors', policy('outlierDetection: {consecutiveErrors: 5}'), 'spec.trafficPolicy.outlierDetection.consecutiveErrors', /deprecated/],
    ['failover without outlier detection', policy('loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}'), 'spec.trafficPolicy.loadBalancer.localityLbSetting', /outlierDetection/],
  ],
});
