import { closest } from '@meltemi/base';
import type { Config } from '../object.ts';
import { authorizationPolicy } from './authorization-policy/kind.ts';
import { destinationRule } from './destination-rule/kind.ts';
import { envoyFilter } from './envoy-filter/kind.ts';
import { gateway } from './gateway/kind.ts';
import { backendTlsPolicy } from './gateway-api/backend-tls-policy/kind.ts';
import { gatewayClass, kubeGateway, listenerSet } from './gateway-api/gateway/kind.ts';
import { grpcRoute } from './gateway-api/grpc-route/kind.ts';
import { httpRoute } from './gateway-api/http-route/kind.ts';
import { tcpRoute, tlsRoute } from './gateway-api/l4-route/kind.ts';
import { referenceGrant } from './gateway-api/reference-grant/kind.ts';
import { isOfKindName, type ConfigKind } from './kind.ts';
import { configMap } from './kubernetes/config-map/kind.ts';
import { deployment } from './kubernetes/deployment/kind.ts';
import { endpointSlice } from './kubernetes/endpoint-slice/kind.ts';
import { endpoints } from './kubernetes/endpoints/kind.ts';
import { ingress, ingressClass } from './kubernetes/ingress/kind.ts';
import { namespace } from './kubernetes/namespace/kind.ts';
import { node } from './kubernetes/node/kind.ts';
import { pod } from './kubernetes/pod/kind.ts';
import { secret } from './kubernetes/secret/kind.ts';
import { serviceAccount } from './kubernetes/service-account/kind.ts';
import { kubeService } from './kubernetes/service/kind.ts';
import { trafficExtension, wasmPlugin } from './later/extensions.ts';
import { legacyKinds } from './later/legacy.ts';
import { workloadGroup } from './later/workloads.ts';
import { meshConfig } from './mesh-config/kind.ts';
import { meshNetworks } from './mesh-networks/kind.ts';
import { peerAuthentication } from './peer-authentication/kind.ts';
import { proxyConfigKind } from './proxy-config/kind.ts';
import { requestAuthentication } from './request-authentication/kind.ts';
import { serviceEntry } from './service-entry/kind.ts';
import { sidecar } from './sidecar/kind.ts';
import { telemetry } from './telemetry/kind.ts';
import { virtualService } from './virtual-service/kind.ts';
import { workloadEntry } from './workload-entry/kind.ts';

/** Every kind with a schema. What is not here is judged by its API group alone (see `decode`). */
export const kinds: readonly ConfigKind[] = [
  // traffic and security, acted on
  virtualService,
  destinationRule,
  gateway,
  serviceEntry,
  workloadEntry,
  sidecar,
  peerAuthentication,
  requestAuthentication,
  authorizationPolicy,
  envoyFilter,
  telemetry,
  proxyConfigKind,
  meshConfig,
  meshNetworks,
  // the registry's sources
  kubeService,
  endpoints,
  endpointSlice,
  pod,
  deployment,
  namespace, node,
  serviceAccount,
  configMap,
  secret,
  // the Gateway API and Ingress, acted on by conversion
  gatewayClass,
  kubeGateway,
  listenerSet,
  httpRoute,
  grpcRoute,
  tlsRoute,
  tcpRoute,
  referenceGrant,
  backendTlsPolicy,
  ingress,
  ingressClass,
  // checked, not acted on yet
  workloadGroup,
  wasmPlugin,
  trafficExtension,
  ...legacyKinds,
];

const byName = new Map(kinds.map((kind) => [`${kind.group}/${kind.kind}`, kind]));

/** The kind of this group and name (case-sensitive), or undefined. */
export function findKind(group: string, kind: string): ConfigKind | undefined {
  return byName.get(`${group}/${kind}`);
}

/**
 * What a user may type for a kind: "virtualservice", "VirtualServices", "vs", "vs.networking.istio.io". Case does not matter. Where two groups share
 * a name, the one listed first wins unless the group is given.
 */
export function kindByAlias(text: string): ConfigKind | undefined {
  const [name = '', ...group] = text.toLowerCase().split('.');
  const wanted = group.join('.');
  return kinds.find((kind) => (wanted === '' || kind.group === wanted) && [kind.kind.toLowerCase(), kind.plural, ...kind.shortNames].includes(name));
}

/** The name of a kind in this group that a typo may have meant. */
export function closestKind(group: string, kind: string): string | undefined {
  return closest(kind, kinds.filter((one) => one.group === group).map((one) => one.kind));
}

/** Narrows a decoded object to the spec of its kind. */
export function isOfKind<Spec>(config: Config, kind: ConfigKind<Spec>): config is Config<Spec> {
  return isOfKindName(config, kind);
}
