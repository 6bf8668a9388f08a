import { cases, documents, object } from '../../testing/cases.ts';
import { gatewayCertificates } from './certificates.ts';
import { expiredIn2025, validFrom2026To2126 } from './certificates-of-tests.ts';
import { gatewayConflicts } from './conflicts.ts';
import { gatewayPorts } from './ports.ts';
import { gatewaySecrets } from './secrets.ts';

const gateway = (name: string, servers: string, selector = '{app: gate}', namespace = 'default') => object('networking.istio.io/v1', 'Gateway', `{name: ${name}, namespace: ${namespace}}`, `spec: {selector: ${selector}, servers: [${servers}]}`);
const http = (port: number, host = 'a.example.com', more = '') => `{port: {number: ${port}, name: http, protocol: HTTP}, hosts: ["${host}"]${more}}`;
const https = (tls: string) => `{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["a.example.com"], tls: ${tls}}`;
const pod = (labels = '{app: gate}', namespace = 'default') => object('v1', 'Pod', `{name: gate-1, namespace: ${namespace}, labels: ${labels}}`, 'spec: {containers: [{name: istio-proxy}]}');
const service = (ports: string, selector = '{app: gate}', namespace = 'default') => object('v1', 'Service', `{name: gate, namespace: ${namespace}}`, `spec: {selector: ${selector}, ports: [${ports}]}`);

cases(gatewayPorts, {
  'pods that do not exist': { yaml: gateway('g', http(80)), finds: [['IST0101 Gateway g.default', 4, /selector.*"app=gate"/]] },
  'a port no service exposes': { yaml: documents(gateway('g', http(8000)), pod(), service('{port: 80, targetPort: 8080}')), finds: [['IST0162 Gateway g.default', 4, /port 8000,.*app=gate/]] },
  'a target port, and a port that is mapped to one': { yaml: documents(gateway('g', `${http(8080)}, ${http(80)}`), pod(), service('{port: 80, targetPort: 8080}')), finds: [] },
  'a UDP port is none': { yaml: documents(gateway('g', http(80)), pod(), service('{port: 80, protocol: UDP}')), finds: [['IST0162 Gateway g.default', 4, /./]] },
  'services of other namespaces and of other pods': { yaml: documents(gateway('g', http(80)), pod(), service('{port: 80}', '{app: gate}', 'shop')), finds: [['IST0162 Gateway g.default', 4, /./]] },
  'the ingress gateway of an installation is taken as given': { yaml: gateway('g', `${http(80)}, ${http(8080)}, ${http(8443)}`, '{istio: ingressgateway}'), finds: [] },
});

cases(gatewayConflicts, {
  'the same pods, port and host': { yaml: documents(gateway('a', http(80)), gateway('b', http(80))), finds: [['IST0145 Gateway a.default', 4, /default\/b .*app=gate, port 80, hosts a\.example\.com/], ['IST0145 Gateway b.default', 9, /default\/a/]] },
  'another port, host or bind address': { yaml: documents(gateway('a', http(80)), gateway('b', http(81)), gateway('c', http(80, 'c.example.com')), gateway('d', http(80, 'a.example.com', ', bind: 10.0.0.1'))), finds: [] },
  'a wider selector that takes the same pod': { yaml: documents(gateway('a', http(80)), gateway('b', http(80), '{app: gate, tier: front}'), pod('{app: gate, tier: front}')), finds: [['IST0145 Gateway a.default', 4, /./], ['IST0145 Gateway b.default', 9, /./]] },
  'a wider selector, and no pod that has both': { yaml: documents(gateway('a', http(80)), gateway('b', http(80), '{app: gate, tier: front}'), pod()), finds: [] },
});

cases(gatewayCertificates, {
  'one Secret in two gateways': { yaml: documents(gateway('a', https('{mode: SIMPLE, credentialName: s}')), gateway('b', https('{mode: SIMPLE, credentialName: s}'))), finds: [['IST0138 Gateway a.default', 3, /"default\/a" and "default\/b"/], ['IST0138 Gateway b.default', 8, /./]] },
  'one file in two gateways': { yaml: documents(gateway('a', https('{mode: SIMPLE, serverCertificate: /c, privateKey: /k}')), gateway('b', https('{mode: SIMPLE, serverCertificate: /c, privateKey: /k}'))), finds: [['IST0138 Gateway a.default', 3, /./], ['IST0138 Gateway b.default', 8, /./]] },
  'only the wider of two selectors sees the other': { yaml: documents(gateway('a', https('{mode: SIMPLE, credentialName: s}')), gateway('b', https('{mode: SIMPLE, credentialName: s}'), '{app: gate, tier: front}')), finds: [['IST0138 Gateway a.default', 3, /./]] },
  'different Secrets, different pods': { yaml: documents(gateway('a', https('{mode: SIMPLE, credentialName: s}')), gateway('b', https('{mode: SIMPLE, credentialName: t}')), gateway('c', https('{mode: SIMPLE, credentialName: s}'), '{app: other}')), finds: [] },
});

const secret = (data: string, namespace = 'default') => object('v1', 'Secret', `{name: s, namespace: ${namespace}}`, data);
const pem = (der: string) => Buffer.from(`-----BEGIN CERTIFICATE-----\n${der.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`).toString('base64');
const key = Buffer.from('a key').toString('base64');
const simple = gateway('g', https('{mode: SIMPLE, credentialName: s}'));

cases(gatewaySecrets, {
  'a Secret that does not exist': { yaml: documents(simple, pod()), finds: [['IST0101 Gateway g.default', 4, /credentialName.*"s"/]] },
  'a Secret beside the gateway but not beside its pods': { yaml: documents(simple, pod('{app: gate}', 'ingress'), secret(`data: {tls.crt: ${pem(validFrom2026To2126)}, tls.key: ${key}}`)), finds: [['IST0101 Gateway g.default', 4, /"s"/]] },
  'a certificate and key': { yaml: documents(simple, pod('{app: gate}', 'ingress'), secret(`data: {tls.crt: ${pem(validFrom2026To2126)}, tls.key: ${key}}`, 'ingress')), finds: [] },
  'under their other names': { yaml: documents(simple, pod(), secret(`data: {cert: ${pem(validFrom2026To2126)}, key: ${key}}`)), finds: [] },
  'no key': { yaml: documents(simple, pod(), secret(`data: {tls.crt: ${pem(validFrom2026To2126)}}`)), finds: [['IST0161 Gateway g.default', 4, /Gateway g .*namespace default/]] },
  'an expired certificate': { yaml: documents(simple, pod(), secret(`data: {tls.crt: ${pem(expiredIn2025)}, tls.key: ${key}}`)), finds: [['IST0161 Gateway g.default', 4, /./]] },
  'a certificate that is none': { yaml: documents(simple, pod(), secret('stringData: {tls.crt: hello, tls.key: there}')), finds: [['IST0161 Gateway g.default', 4, /./]] },
  'no Secret is needed without TLS': { yaml: documents(gateway('g', http(80)), pod()), finds: [] },
  'pods that do not exist': { yaml: simple, finds: [['IST0101 Gateway g.default', 4, /selector/]] },
});
