import { jsonToBinary } from '@meltemi/api';
import type { Struct } from '../types.ts';
import type { EnvoyApplyTo } from './types.ts';

/** The message that a patch's value is, by what it applies to. Those not here cannot be patched. */
export const patchedMessages: Readonly<Partial<Record<EnvoyApplyTo, string>>> = {
  LISTENER: 'envoy.config.listener.v3.Listener',
  FILTER_CHAIN: 'envoy.config.listener.v3.FilterChain',
  LISTENER_FILTER: 'envoy.config.listener.v3.ListenerFilter',
  NETWORK_FILTER: 'envoy.config.listener.v3.Filter',
  HTTP_FILTER: 'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter',
  ROUTE_CONFIGURATION: 'envoy.config.route.v3.RouteConfiguration',
  VIRTUAL_HOST: 'envoy.config.route.v3.VirtualHost',
  HTTP_ROUTE: 'envoy.config.route.v3.Route',
  CLUSTER: 'envoy.config.cluster.v3.Cluster',
};

/** `unsupported`: right in Istio perhaps, but nothing here can act on it. `wrong`: not what the message takes. */
export type PatchValue =
  | { readonly state: 'read'; readonly bytes: Uint8Array; /** Why a strict reader would refuse it: fields that are not known were left out. */ readonly unknown: string | undefined }
  | { readonly state: 'unsupported' | 'wrong'; readonly reason: string };

/** Reads a patch's value as the Envoy message that `applyTo` names, with durations as Istio reads them, too ("500ms"). A TypedStruct is read as the message it stands for. */
export function readPatchValue(applyTo: EnvoyApplyTo, value: Struct): PatchValue {
  const typeName = patchedMessages[applyTo];
  if (typeName === undefined) return { state: 'unsupported', reason: `${applyTo} cannot be patched` };
  const json = untypedStructs(value);
  const strict = attempt(typeName, json, false);
  if (strict.state !== 'wrong') return strict;
  const lenient = attempt(typeName, json, true);
  if (lenient.state === 'read') return { ...lenient, unknown: strict.reason };
  // Istio does not look into a TypedStruct: what is wrong there is between its author and the proxy
  const outside = attempt(typeName, untypedStructs(value, { emptied: true }), true);
  return lenient.state === 'wrong' && outside.state === 'read' ? { state: 'unsupported', reason: `in its TypedStruct, ${lenient.reason}` } : lenient;
}

function attempt(typeName: string, json: Struct, ignoreUnknownFields: boolean): PatchValue {
  try {
    return { state: 'read', bytes: jsonToBinary(typeName, json, { ignoreUnknownFields, goDurations: true }), unknown: undefined };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const missing = /(\S+) is not in the type registry/.exec(reason)?.[1];
    return missing === undefined ? { state: 'wrong', reason } : { state: 'unsupported', reason: `${missing} is not a message that Meltemi's proxy runs` };
  }
}

const typedStruct = /\/(?:udpa\.type\.v1|xds\.type\.v3)\.TypedStruct$/;

interface Rewriting {
  /** Leaves out what the structs hold. */
  readonly emptied: boolean;
}

/** {"@type": …TypedStruct, type_url: T, value: {…}} is {"@type": T, …}. */
function untypedStructs(json: Struct, how: Rewriting = { emptied: false }): Struct {
  return rewritten(json, how) as Struct;
}

function rewritten(json: unknown, how: Rewriting): unknown {
  if (Array.isArray(json)) return json.map((one) => rewritten(one, how));
  if (typeof json !== 'object' || json === null) return json;
  const entries = { ...json } as Record<string, unknown>;
  const target = entries['type_url'] ?? entries['typeUrl'];
  if (typeof entries['@type'] === 'string' && typedStruct.test(entries['@type']) && typeof target === 'string') {
    const value = entries['value'];
    return rewritten({ ...(!how.emptied && typeof value === 'object' && value !== null ? value : {}), '@type': target }, how);
  }
  return Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, rewritten(entry, how)]));
}
