import { cases, documents, object } from '../../testing/cases.ts';
import { caCertificates } from './ca-certificates.ts';
import { subsets } from './subsets.ts';

const rule = (spec: string, namespace = 'default') => object('networking.istio.io/v1', 'DestinationRule', `{name: db, namespace: ${namespace}}`, `spec: ${spec}`);

cases(caCertificates, {
  'TLS that verifies nobody': { yaml: rule('{host: db, trafficPolicy: {tls: {mode: SIMPLE}}}'), finds: [['IST0128 DestinationRule db.default', 4, /default\/db .* SIMPLE .* db is not verified/]] },
  'mutual TLS that verifies nobody': { yaml: rule('{host: db, trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k}}}'), finds: [['IST0128 DestinationRule db.default', 4, /MUTUAL/]] },
  'the same on a port': { yaml: rule('{host: db, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE}}]}}'), finds: [['IST0129 DestinationRule db.default', 4, /port 443/]] },
  'both': { yaml: rule('{host: db, trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE}}]}}'), finds: [['IST0128 DestinationRule db.default', 4, /./], ['IST0129 DestinationRule db.default', 4, /./]] },
  'an authority': { yaml: rule('{host: db, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca}}}'), finds: [] },
  'a Secret, for selected workloads': { yaml: rule('{host: db, workloadSelector: {matchLabels: {a: b}}, trafficPolicy: {tls: {mode: SIMPLE, credentialName: s}}}'), finds: [] },
  'a Secret, for everybody': { yaml: rule('{host: db, trafficPolicy: {tls: {mode: SIMPLE, credentialName: s}}}'), finds: [['IST0128 DestinationRule db.default', 4, /./]] },
  'the mesh\'s own TLS': { yaml: rule('{host: db, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}'), finds: [] },
});

const service = object('v1', 'Service', '{name: db}', 'spec: {ports: [{name: tcp, port: 1}]}');
const pod = (labels: string, more = '') => object('v1', 'Pod', `{name: db-1, labels: ${labels}}`, `spec: {containers: [{name: a}]${more}}`);
const v1 = rule('{host: db, subsets: [{name: v1, labels: {version: v1}}]}');
const inZone = rule('{host: db, subsets: [{name: z, labels: {topology.kubernetes.io/zone: z1}}]}');
const node = (labels: string) => object('v1', 'Node', `{name: n, labels: ${labels}}`, '');

cases(subsets, {
  'a host nobody has': { yaml: rule('{host: dbb}'), finds: [['IST0174 DestinationRule db.default', 4, /dbb/]] },
  'a host of another namespace by its short name': { yaml: documents(rule('{host: db}', 'shop'), service), finds: [['IST0174 DestinationRule db.shop', 4, /db/]] },
  'the same by its full name': { yaml: documents(rule('{host: db.default.svc.cluster.local}', 'shop'), service), finds: [] },
  'a host under a wildcard of a ServiceEntry': { yaml: documents(rule('{host: a.example.com}'), object('networking.istio.io/v1', 'ServiceEntry', '{name: e}', 'spec: {hosts: ["*.example.com"], ports: [{number: 80, name: http, protocol: HTTP}]}')), finds: [] },
  'a subset no pod is in': { yaml: documents(v1, service, pod('{version: v2}')), finds: [['IST0173 DestinationRule db.default', 4, /subset v1/]] },
  'a subset a pod is in': { yaml: documents(v1, service, pod('{version: v1}')), finds: [] },
  'a subset a Deployment\'s pods will be in': { yaml: documents(v1, service, object('apps/v1', 'Deployment', '{name: d}', 'spec: {selector: {matchLabels: {version: v1}}, template: {metadata: {labels: {version: v1}}, spec: {containers: [{name: a}]}}}')), finds: [] },
  'a subset a virtual machine is in': { yaml: documents(v1, service, object('networking.istio.io/v1', 'WorkloadEntry', '{name: vm}', 'spec: {address: 10.0.0.1, labels: {version: v1}}')), finds: [] },
  'a subset of a zone, which pods have from their node': { yaml: documents(inZone, service, pod('{app: db}', ', nodeName: n'), node('{topology.kubernetes.io/region: r, topology.kubernetes.io/zone: z1}')), finds: [] },
  'a node\'s zone without its region counts for nothing': { yaml: documents(inZone, service, pod('{app: db}', ', nodeName: n'), node('{topology.kubernetes.io/zone: z1}')), finds: [['IST0173 DestinationRule db.default', 4, /subset z/]] },
});
