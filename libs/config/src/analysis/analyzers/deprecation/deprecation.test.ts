import { cases, object } from '../../testing/cases.ts';
import { deprecation } from './deprecation.ts';

const delayed = (delay: string) => object('networking.istio.io/v1', 'VirtualService', '{name: a}', `spec: {hosts: [a], http: [{fault: {delay: ${delay}}, route: [{destination: {host: a}}]}]}`);
const crd = (group: string, kind: string) => object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', '{name: a}', `spec: {group: ${group}, names: {kind: ${kind}}}`);

cases(deprecation, {
  'the old percent of a delay': { yaml: delayed('{percent: 5, fixedDelay: 1s}'), finds: [['IST0002 VirtualService a.default', 4, /percentage/]] },
  'the new one': { yaml: delayed('{percentage: {value: 5}, fixedDelay: 1s}'), finds: [] },
  'an egress proxy': { yaml: object('networking.istio.io/v1', 'Sidecar', '{name: a}', 'spec: {outboundTrafficPolicy: {egressProxy: {host: a}}}'), finds: [['IST0002 Sidecar a.default', 4, /egressProxy/]] },
  'a Sidecar without one': { yaml: object('networking.istio.io/v1', 'Sidecar', '{name: a}', 'spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}'), finds: [] },
  'a kind that is gone': { yaml: crd('rbac.istio.io', 'ServiceRole'), finds: [['IST0002 CustomResourceDefinition a', 1, /ServiceRole/]] },
  'the same name of another group': { yaml: crd('example.com', 'ServiceRole'), finds: [] },
});
