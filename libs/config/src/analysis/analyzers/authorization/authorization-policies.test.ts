import { cases, documents, object } from '../../testing/cases.ts';
import { authorizationPolicies } from './authorization-policies.ts';

const namespace = object('v1', 'Namespace', '{name: shop, labels: {istio-injection: enabled}}', '');
const pod = (metadata: string) => object('v1', 'Pod', metadata, 'spec: {containers: [{name: a, image: b}]}');
const policy = (spec: string, where = 'shop') => object('security.istio.io/v1', 'AuthorizationPolicy', `{name: p, namespace: ${where}}`, `spec: ${spec}`);
const cart = pod('{name: cart, namespace: shop, labels: {app: cart}}');

cases(authorizationPolicies, {
  'a selector that no pod has': { yaml: documents(policy('{selector: {matchLabels: {app: chart}}}'), namespace, cart), finds: [['IST0127 AuthorizationPolicy p.shop', 4, /app=chart/]] },
  'a selector that a pod has': { yaml: documents(policy('{selector: {matchLabels: {app: cart}}}'), namespace, cart), finds: [] },
  'a selector that a Deployment\'s pods will have': {
    yaml: documents(policy('{selector: {matchLabels: {app: cart}}}'), namespace, object('apps/v1', 'Deployment', '{name: cart, namespace: shop}', 'spec: {selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: a}]}}}')),
    finds: [],
  },
  'a selector that only a pod outside of the mesh has': { yaml: documents(policy('{selector: {matchLabels: {app: cart}}}'), cart), finds: [['IST0127 AuthorizationPolicy p.shop', 4, /app=cart/]] },
  'a selector that only a pod of another namespace has': { yaml: documents(policy('{selector: {matchLabels: {app: cart}}}', 'bank'), namespace, cart), finds: [['IST0127 AuthorizationPolicy p.bank', 4, /app=cart/]] },
  'ambient pods are in the mesh': { yaml: documents(policy('{selector: {matchLabels: {app: cart}}}'), pod('{name: cart, namespace: shop, labels: {app: cart}, annotations: {ambient.istio.io/redirection: enabled}}')), finds: [] },
  'a namespace without pods': { yaml: policy('{}'), finds: [['IST0127 AuthorizationPolicy p.shop', 1, /: $/]] },
  'the root namespace needs none': { yaml: policy('{}', 'istio-system'), finds: [] },
  'in the root namespace a selector looks everywhere': { yaml: documents(policy('{selector: {matchLabels: {app: cart}}}', 'istio-system'), namespace, cart), finds: [] },
  'the root namespace is MeshConfig\'s': { yaml: policy('{}', 'root'), meshConfig: 'rootNamespace: root', finds: [] },
  'a policy of a gateway selects nothing by labels': { yaml: policy('{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gate}]}'), finds: [] },
  'namespaces that do not exist': {
    yaml: documents(policy('{rules: [{from: [{source: {namespaces: [shop, shp, "sh*", "*op", "b*"], notNamespaces: [bank]}}]}]}'), namespace, cart),
    finds: [['IST0101 AuthorizationPolicy p.shop', 4, /namespace.*"shp"/], ['IST0101 AuthorizationPolicy p.shop', 4, /"b\*"/], ['IST0101 AuthorizationPolicy p.shop', 4, /"bank"/]],
  },
});
