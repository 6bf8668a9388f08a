import { keyText, type Config, type DestinationRuleSpec, type GatewayClassSpec, type GatewaySpec, type GrpcRouteSpec, type HttpRouteSpec, type IngressClassSpec, type IngressSpec, type KubeGatewaySpec, type ListenerSetSpec, type MeshConfigSpec, type TcpRouteSpec, type TlsRouteSpec, type VirtualServiceSpec, type BackendTlsPolicySpec } from '@meltemi/config';
import type { FieldError } from '@meltemi/base';
import { convertIngresses } from '../ingress/ingress.ts';
import { byAge } from '../push-context/virtual-services.ts';
import { convertPolicies, type ConvertedPolicy } from './backend-tls.ts';
import { convertGateway, type ConvertedGateway } from './gateways.ts';
import { lookupsOf, type ByKind } from './lookups.ts';
import { convertRoutes, type ConvertedRoute } from './routes.ts';

/** Everything that Gateway API objects and Ingresses mean, in Istio's own kinds; and what became of each, for its status. */
export interface Converted {
  readonly gateways: readonly Config<GatewaySpec>[];
  readonly virtualServices: readonly Config<VirtualServiceSpec>[];
  readonly destinationRules: readonly Config<DestinationRuleSpec>[];
  readonly outcome: Outcome;
  /** Objects that could not be converted. */
  readonly refused: readonly { readonly config: Config; readonly errors: readonly FieldError[] }[];
  /** What it was made of. */
  readonly inputs: ReadonlyMap<string, readonly Config[]>;
}

/** What became of each object. */
export interface Outcome {
  readonly gateways: readonly ConvertedGateway[];
  readonly routes: readonly ConvertedRoute[];
  readonly policies: readonly ConvertedPolicy[];
  readonly classes: readonly Config<GatewayClassSpec>[];
}

/** Where the kinds of the Gateway API stand in a context's inputs: "Gateway" alone is Istio's. */
export const convertedKinds = {
  gateway: 'gateway.networking.k8s.io/Gateway',
  gatewayClass: 'GatewayClass',
  listenerSet: 'ListenerSet',
  httpRoute: 'HTTPRoute',
  grpcRoute: 'GRPCRoute',
  tlsRoute: 'TLSRoute',
  tcpRoute: 'TCPRoute',
  referenceGrant: 'ReferenceGrant',
  backendTlsPolicy: 'BackendTLSPolicy',
  ingress: 'Ingress',
  ingressClass: 'IngressClass',
} as const;

/** Read besides: names, ports, labels and keys of other objects. */
const readKinds = ['Service', 'ServiceEntry', 'Namespace', 'Secret', 'ConfigMap'] as const;

const nothing: Converted = { gateways: [], virtualServices: [], destinationRules: [], outcome: { gateways: [], routes: [], policies: [], classes: [] }, refused: [], inputs: new Map() };

export interface ConvertOptions {
  readonly mesh: MeshConfigSpec;
  readonly domain: string;
  /** Of the context before, when mesh and domain are the same. */
  readonly previous: Converted | undefined;
}

/**
 * Converts what there is. Generated objects that come out equal to those before are the same objects, so that caches survive; when nothing that is read
 * changed, everything is. Pure, and never throws for an object's sake.
 */
export function convert(of: ByKind, { mesh, domain, previous }: ConvertOptions): Converted {
  if (Object.values(convertedKinds).every((kind) => of(kind).length === 0)) return previous?.inputs.size === 0 ? previous : nothing;
  const inputs = new Map([...Object.values(convertedKinds), ...readKinds].map((kind) => [kind, of(kind)]));
  if (previous && [...inputs].every(([kind, list]) => sameList(list, previous.inputs.get(kind) ?? []))) return previous;
  const routes = {
    http: of<HttpRouteSpec>(convertedKinds.httpRoute),
    grpc: of<GrpcRouteSpec>(convertedKinds.grpcRoute),
    tls: of<TlsRouteSpec>(convertedKinds.tlsRoute),
    tcp: of<TcpRouteSpec>(convertedKinds.tcpRoute),
  };
  const routeNamespaces = [...routes.http, ...routes.grpc, ...routes.tls, ...routes.tcp].map(({ meta }) => meta.namespace);
  const lookups = lookupsOf(of, { domain, routeNamespaces });
  const classes = of<GatewayClassSpec>(convertedKinds.gatewayClass);
  const kubeGateways = of<KubeGatewaySpec>(convertedKinds.gateway).toSorted(byAge);
  const listenerSets = of<ListenerSetSpec>(convertedKinds.listenerSet).toSorted(byAge);
  const gateways = kubeGateways.flatMap((gateway) => convertGateway(gateway, { gateways: kubeGateways, listenerSets, classes, lookups }));
  const converted = convertRoutes(routes, { gateways, lookups });
  const policies = convertPolicies(of<BackendTlsPolicySpec>(convertedKinds.backendTlsPolicy), lookups);
  const ingresses = convertIngresses({ ingresses: of<IngressSpec>(convertedKinds.ingress), classes: of<IngressClassSpec>(convertedKinds.ingressClass), mesh, domain, service: lookups.service });
  return {
    gateways: kept([...gateways.flatMap(({ generated }) => generated.filter(({ listener }) => listener.valid).map(({ config }) => config)), ...ingresses.gateways], previous?.gateways),
    virtualServices: kept([...converted.virtualServices, ...ingresses.virtualServices], previous?.virtualServices),
    destinationRules: kept(policies.destinationRules, previous?.destinationRules),
    outcome: { gateways, routes: converted.routes, policies: policies.policies, classes },
    refused: converted.routes.flatMap(({ config, refused }) => (refused ? [{ config, errors: [refused.field] }] : [])),
    inputs,
  };
}

function sameList(a: readonly Config[], b: readonly Config[]): boolean {
  return a.length === b.length && a.every((config, index) => config === b[index]);
}

/** Equal objects of before in place of new ones. */
function kept<Spec>(next: readonly Config<Spec>[], before: readonly Config<Spec>[] = []): readonly Config<Spec>[] {
  const known = new Map(before.map((config) => [keyText(config.key), config]));
  return next.map((config) => {
    const old = known.get(keyText(config.key));
    return old && JSON.stringify(old) === JSON.stringify(config) ? old : config;
  });
}
