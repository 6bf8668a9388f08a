import { cases, documents, object } from '../../testing/cases.ts';
import { gatewayCrdServed, gatewayCrdVersions } from './crd-versions.ts';
import { gatewaySelectors } from './selectors.ts';

const pod = object('v1', 'Pod', '{name: gate-1, labels: {gateway.networking.k8s.io/gateway-name: gate, app: gate}}', 'spec: {containers: [{name: a}]}');
const policies = (spec: string) => [
  object('security.istio.io/v1', 'AuthorizationPolicy', '{name: p}', `spec: ${spec}`),
  object('security.istio.io/v1', 'RequestAuthentication', '{name: p}', `spec: ${spec}`),
  object('telemetry.istio.io/v1', 'Telemetry', '{name: p}', `spec: ${spec}`),
];

cases(gatewaySelectors, {
  'policies that select a gateway\'s pods': {
    yaml: documents(pod, ...policies('{selector: {matchLabels: {app: gate}}}')),
    finds: [['IST0166 AuthorizationPolicy p.default', 9, /Gateway gate: name it in targetRefs/], ['IST0166 RequestAuthentication p.default', 14, /./], ['IST0166 Telemetry p.default', 19, /./]],
  },
  'policies that name the gateway': { yaml: documents(pod, ...policies('{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gate}]}')), finds: [] },
  'policies without a selector, or for other pods': { yaml: documents(pod, ...policies('{}'), ...policies('{selector: {matchLabels: {app: cart}}}').map((text) => text.replace('name: p', 'name: q'))), finds: [] },
});

const crd = (name: string, version: string, spec = 'spec: {}') => object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', `{name: ${name}.gateway.networking.k8s.io, annotations: {gateway.networking.k8s.io/bundle-version: ${version}}}`, spec);

cases(gatewayCrdVersions, {
  'a CRD that is too old': { yaml: crd('tlsroutes', 'v1.4.1'), finds: [['IST0176 CustomResourceDefinition tlsroutes.gateway.networking.k8s.io', 3, /1\.4\.1, and at least 1\.5\.0/]] },
  'a release candidate counts as its release': { yaml: crd('tlsroutes', 'v1.5.0-rc.1'), finds: [] },
  'newer ones, unlimited ones, unreadable versions': { yaml: documents(crd('tlsroutes', 'v2.0.0'), crd('httproutes', 'v0.1.0'), crd('grpcroutes', 'dev')), finds: [] },
});

const serving = (kind: string, versions: string) => crd('a', 'v1.0.0', `spec: {group: gateway.networking.k8s.io, names: {kind: ${kind}}, versions: [${versions}]}`);

cases(gatewayCrdServed, {
  'neither v1beta1 nor v1': { yaml: serving('HTTPRoute', '{name: v1alpha2, served: true}, {name: v1, served: false}'), finds: [['IST0156 CustomResourceDefinition a.gateway.networking.k8s.io', 4, /v1alpha2, not v1beta1/], ['IST0172 CustomResourceDefinition a.gateway.networking.k8s.io', 4, /not v1,/]] },
  'both': { yaml: serving('HTTPRoute', '{name: v1beta1, served: true}, {name: v1, served: true}'), finds: [] },
  'a kind that is not asked for': { yaml: serving('UDPRoute', '{name: v1alpha2, served: true}'), finds: [] },
});
