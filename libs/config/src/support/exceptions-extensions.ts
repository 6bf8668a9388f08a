import type { KindExceptions } from './exception.ts';

/** EnvoyFilter, WasmPlugin, TrafficExtension, Telemetry, policies. */
export const extensionExceptions: readonly KindExceptions[] = [
  {
    group: 'networking.istio.io',
    kinds: ['EnvoyFilter'],
    fields: [
      { path: 'configPatches[].applyTo', support: 'refused', values: ['BOOTSTRAP'], consequence: 'unsupported: a bootstrap is written where the proxy starts, not by the control plane; this patch is set aside' },
      { path: 'configPatches[].applyTo', support: 'refused', values: ['EXTENSION_CONFIG'], consequence: 'unsupported: filters are not discovered one by one (ECDS): write the typed_config into the filter; this patch is set aside' },
      { path: 'configPatches[].match.context', support: 'refused', values: ['WAYPOINT'], consequence: 'unsupported: there are no waypoints, so this patch is set aside' },
      { path: 'configPatches[].match.waypoint', support: 'refused', consequence: 'never matches: there are no waypoint proxies' },
      { path: 'configPatches[].match.listener.filterChain.transportSocket', support: 'refused', consequence: 'has no effect: chains with any transport socket match' },
      { path: 'configPatches[].match.listener.portName', support: 'refused', consequence: 'has no effect, as in Istio: use portNumber or name' },
      { path: 'configPatches[].patch.filterClass', support: 'refused', consequence: 'has no effect: say where with the operation and the filter in match' },
      { path: 'configPatches[].match.proxy.proxyVersion', support: 'approximated', consequence: 'our proxy counts as Istio 1.30.0' },
      { path: 'configPatches[].patch.value', support: 'approximated', warned: true, consequence: 'messages that our proxy does not run are warned of and left out there; false and 0 in a wrapper are what they say, in Istio they change nothing' },
    ],
  },
  {
    group: 'extensions.istio.io',
    kinds: ['WasmPlugin', 'TrafficExtension'],
    fields: [{ path: 'phase', support: 'refused', values: ['AUTHN', 'AUTHZ'], consequence: 'would decide who gets in, and nothing runs it: requests pass without its decision' }],
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
  {
    group: 'telemetry.istio.io',
    kinds: ['Telemetry'],
    fields: [
      { path: 'tracing[].disableContextPropagation', support: 'refused', consequence: 'unsupported: contexts are passed on' },
      { path: 'tracing[].customTags{}.formatter', support: 'approximated', warned: true, consequence: 'a tag with a command that our proxy does not know is warned of and left out' },
      { path: 'metrics[].overrides[].tagOverrides{}.value', support: 'approximated', warned: true, consequence: 'a subset of CEL; another expression is warned of and left out' },
      { path: 'accessLogging[].filter.expression', support: 'approximated', warned: true, consequence: 'a subset of CEL; another expression is warned of and left out, then everything is logged' },
    ],
  },
  {
    group: 'networking.istio.io',
    kinds: ['ProxyConfig'],
    fields: [
      ...['concurrency', 'environmentVariables'].map((path) => ({ path, support: 'approximated' as const, consequence: 'counts where a proxy starts: `meltemi workload entry configure` writes it for machines outside of Kubernetes' })),
      { path: 'image', support: 'refused', consequence: 'is for the injector, which there is none of' },
    ],
  },
];
