import type { KindExceptions } from './exceptions.ts';

/** EnvoyFilter, WasmPlugin, TrafficExtension, Telemetry. */
export const extensionExceptions: readonly KindExceptions[] = [
  {
    group: 'networking.istio.io',
    kinds: ['EnvoyFilter'],
    fields: [
      { path: 'configPatches[].match.waypoint', support: 'refused', consequence: 'never matches: there are no waypoint proxies' },
      { path: 'configPatches[].patch.filterClass', support: 'refused', consequence: 'has no effect: the filter is put in front of the router' },
    ],
  },
];
