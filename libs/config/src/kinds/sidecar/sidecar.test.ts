import { table } from '../../testing/verdict.ts';
import { peerAuthentication } from '../peer-authentication/kind.ts';
import { sidecar } from './kind.ts';

const egress = (fields: string): string => `{egress: [{${fields}}]}`;
const ingress = (fields: string): string => `{ingress: [{port: {number: 9080, protocol: HTTP, name: http}, ${fields}}]}`;

table(sidecar, {
  good: [
    ['egress hosts', egress('hosts: ["./*", "istio-system/*", "~prod/*", "*/a.example.com"]')],
    ['an egress listener for an unaware client', egress('port: {number: 27017, protocol: MONGO, name: db}, bind: 127.0.0.1, captureMode: NONE, hosts: ["*/db.default.svc.cluster.local"]')],
    ['a socket', egress('port: {number: 0, protocol: HTTP, name: a}, bind: unix:///run/a, hosts: ["./*"]')],
    ['ingress to a socket', ingress('defaultEndpoint: unix:///run/a')],
    ['ingress to loopback', ingress('bind: 127.0.0.9, defaultEndpoint: "127.0.0.1:8080"')],
    ['registry only', '{workloadSelector: {labels: {app: a}}, outboundTrafficPolicy: {mode: REGISTRY_ONLY}}'],
  ],
  bad: [
    ['nothing', '{workloadSelector: {labels: {a: b}}}', 'spec', /at least one/],
    ['a host without namespace', egress('hosts: [a.example.com]'), 'spec.egress[0].hosts[0]', /namespace\/dnsName/],
    ['a short host', egress('hosts: ["./reviews"]'), 'spec.egress[0].hosts[0]', /short name/],
    ['no hosts', egress('port: {number: 1}'), 'spec.egress[0].hosts', /required/],
    ['a catch-all that is not last', '{egress: [{hosts: ["./*"]}, {port: {number: 1}, hosts: ["./*"]}]}', 'spec.egress[0]', /last/],
    ['a port twice', '{egress: [{port: {number: 1}, hosts: ["./*"]}, {port: {number: 1}, hosts: ["./*"]}]}', 'spec.egress[1].port', /already/],
    ['port 0 without socket', egress('port: {number: 0}, hosts: ["./*"]'), 'spec.egress[0].bind', /unix/],
    ['a wildcard in the selector', '{workloadSelector: {labels: {app: "a*"}}, egress: [{hosts: ["./*"]}]}', 'spec.workloadSelector.labels.app', /wildcards/],
    ['ingress elsewhere', ingress('defaultEndpoint: "10.0.0.1:80"'), 'spec.ingress[0].defaultEndpoint', /127\.0\.0\.1/],
    ['ingress without port', '{ingress: [{defaultEndpoint: "127.0.0.1:1"}]}', 'spec.ingress[0].port', /required/],
    ['ingress TLS on HTTP', ingress('tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}'), 'spec.ingress[0].tls', /HTTPS or TLS/],
    ['an egress proxy without port', '{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b}}}', 'spec.outboundTrafficPolicy.egressProxy.port', /required/],
  ],
  warns: [['a host twice', egress('hosts: ["./*", "shop/*"]'), 'spec.egress[0].hosts[1]', /overlaps/]],
});

table(peerAuthentication, {
  good: [
    ['strict', '{mtls: {mode: STRICT}}'],
    ['nothing', '{}'],
    ['a port', '{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}'],
  ],
  bad: [
    ['ports without selector', '{portLevelMtls: {8080: {mode: DISABLE}}}', 'spec.portLevelMtls', /selector/],
    ['no port in the map', '{selector: {matchLabels: {a: b}}, portLevelMtls: {}}', 'spec.portLevelMtls', /empty/],
    ['port 0', '{selector: {matchLabels: {a: b}}, portLevelMtls: {0: {mode: STRICT}}}', 'spec.portLevelMtls.0', /65535/],
    ['an unknown mode', '{mtls: {mode: MUTUAL}}', 'spec.mtls.mode', /UNSET, DISABLE/],
    ['a wildcard', '{selector: {matchLabels: {app: "*"}}}', 'spec.selector.matchLabels.app', /wildcards/],
  ],
});
