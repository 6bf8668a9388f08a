import type { KindExceptions } from './exceptions.ts';

/** EnvoyFilter, WasmPlugin, TrafficExtension, policies. */
export const extensionExceptions: readonly KindExceptions[] = [
  {
    group: 'networking.istio.io',
    kinds: ['EnvoyFilter'],
    fields: [
      { path: 'configPatches[].match.waypoint', support: 'refused', consequence: 'never matches: there are no waypoint proxies' },
      { path: 'configPatches[].patch.filterClass', support: 'refused', consequence: 'has no effect: the filter goes where operation and match say' },
      { path: 'configPatches[].match.listener.portName', support: 'refused', consequence: 'has no effect: listeners of every port match' },
      { path: 'configPatches[].applyTo', support: 'refused', values: ['BOOTSTRAP', 'EXTENSION_CONFIG'], consequence: 'is set aside: there is neither a bootstrap to patch nor ECDS' },
      { path: 'configPatches[].match.context', support: 'refused', values: ['WAYPOINT'], consequence: 'never matches: there are no waypoint proxies' },
      { path: 'configPatches[].match.proxy.proxyVersion', support: 'approximated', consequence: 'our proxy counts as Istio 1.30.0' },
    ],
  },
  {
    group: 'extensions.istio.io',
    kinds: ['WasmPlugin', 'TrafficExtension'],
    fields: [{ path: 'phase', support: 'refused', values: ['AUTHN', 'AUTHZ'], consequence: 'would decide who gets in, and nothing runs it: requests pass without its decision' }],
  },
  {
    group: 'security.istio.io',
    kinds: ['AuthorizationPolicy', 'RequestAuthentication'],
    fields: [
      { path: 'targetRefs[].kind', support: 'refused', values: ['Service', 'ServiceEntry', 'GatewayClass'], consequence: 'is for waypoint proxies, which there are none of: the policy never applies' },
      { path: 'targetRef.kind', support: 'refused', values: ['Service', 'ServiceEntry', 'GatewayClass'], consequence: 'is for waypoint proxies, which there are none of: the policy never applies' },
    ],
  },
];
