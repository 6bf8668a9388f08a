import type { KindExceptions } from './exceptions.ts';

/** EnvoyFilter, WasmPlugin, TrafficExtension, Telemetry, policies. */
export const extensionExceptions: readonly KindExceptions[] = [
  {
    group: 'networking.istio.io',
    kinds: ['EnvoyFilter'],
    fields: [
      { path: 'configPatches[].match.waypoint', support: 'refused', consequence: 'never matches: there are no waypoint proxies' },
      { path: 'configPatches[].patch.filterClass', support: 'refused', consequence: 'has no effect: the filter goes where operation and match say' },
      { path: 'configPatches[].match.listener.filterChain.transportSocket', support: 'refused', consequence: 'has no effect: chains with any transport socket match' },
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
    group: 'telemetry.istio.io',
    kinds: ['Telemetry'],
    fields: [
      { path: 'tracing[].disableContextPropagation', support: 'refused', consequence: 'has no effect: contexts are passed on' },
      { path: 'tracing[].customTags{}.formatter', support: 'approximated', consequence: 'works for %REQ(NAME)% alone; other tags are left out' },
      { path: 'metrics[].overrides[].match.customMetric', support: 'refused', consequence: 'has no effect: the standard metrics alone are counted' },
      { path: 'metrics[].overrides[].tagOverrides{}.value', support: 'approximated', consequence: 'is CEL without macros and custom functions; one that cannot be run is warned of and left out' },
      { path: 'accessLogging[].filter.expression', support: 'approximated', consequence: 'is CEL without macros and custom functions; one that cannot be run is warned of and left out' },
    ],
  },
  {
    group: 'security.istio.io',
    kinds: ['RequestAuthentication'],
    fields: [{ path: 'jwtRules[].presence', support: 'refused', level: 'error', values: ['REQUIRED'], consequence: 'is not enforced, so requests without a token would get in: ask for requestPrincipals ["*"] in an AuthorizationPolicy' }],
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
