import type { KindExceptions } from './exception.ts';

const group = 'gateway.networking.k8s.io';

/** The Gateway API and Ingress. */
export const gatewayApiExceptions: readonly KindExceptions[] = [
  {
    group,
    kinds: ['HTTPRoute', 'GRPCRoute'],
    fields: [
      { path: 'rules[].sessionPersistence', support: 'refused', consequence: 'is not done, so the route is set aside: a DestinationRule with consistentHash keeps clients at one endpoint' },
      { path: '**.filters[].extensionRef', support: 'refused', consequence: 'names a filter that nobody here knows, so the route is set aside' },
    ],
  },
  { group, kinds: ['HTTPRoute'], fields: [{ path: '**.filters[].externalAuth', support: 'refused', consequence: 'is not done, so the route is set aside: an AuthorizationPolicy with action CUSTOM asks an authorizer' }] },
  {
    group,
    kinds: ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'],
    fields: [{ path: 'useDefaultGateways', support: 'refused', consequence: 'has no effect, as in Istio: name Gateways in parentRefs' }],
  },
  {
    group,
    kinds: ['Gateway'],
    fields: [
      { path: 'infrastructure', support: 'refused', consequence: 'has no effect: nothing is deployed here, whoever runs the workloads labels them' },
      { path: 'tls.backend', support: 'refused', consequence: 'has no effect: backends see no client certificate' },
      { path: 'defaultScope', support: 'refused', consequence: 'has no effect, as in Istio: routes name Gateways in parentRefs' },
    ],
  },
  {
    group,
    kinds: ['BackendTLSPolicy'],
    fields: [
      { path: 'options', support: 'refused', consequence: 'has no effect, as in Istio' },
    ],
  },
  { group, kinds: ['GatewayClass'], fields: [{ path: 'parametersRef', support: 'refused', consequence: 'has no effect: nothing is deployed here' }] },
  {
    group: 'networking.k8s.io',
    kinds: ['Ingress'],
    fields: [
      { path: 'defaultBackend', support: 'refused', consequence: 'has no effect, as in Istio: a rule with path "/" and without host takes what no other does' },
      { path: '**.backend.resource', support: 'refused', consequence: 'has no effect, as in Istio: only a service takes traffic' },
    ],
  },
];
