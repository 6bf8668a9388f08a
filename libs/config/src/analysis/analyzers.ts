import type { Analyzer } from './analyzer.ts';
import { alphaAnnotations } from './analyzers/annotations/alpha.ts';
import { annotations } from './analyzers/annotations/annotations.ts';
import { blockedCidrs } from './analyzers/authentication/blocked-cidrs.ts';
import { authorizationPolicies } from './analyzers/authorization/authorization-policies.ts';
import { conditions } from './analyzers/conditions/conditions.ts';
import { applicationUid } from './analyzers/deployment/application-uid.ts';
import { deploymentServices } from './analyzers/deployment/services.ts';
import { deprecation } from './analyzers/deprecation/deprecation.ts';
import { caCertificates } from './analyzers/destination-rule/ca-certificates.ts';
import { subsets } from './analyzers/destination-rule/subsets.ts';
import { envoyPatches } from './analyzers/envoy-filter/patches.ts';
import { externalControlPlane } from './analyzers/external-control-plane/external-control-plane.ts';
import { gatewayCertificates } from './analyzers/gateway/certificates.ts';
import { gatewayConflicts } from './analyzers/gateway/conflicts.ts';
import { gatewayPorts } from './analyzers/gateway/ports.ts';
import { gatewaySecrets } from './analyzers/gateway/secrets.ts';
import { imageAuto } from './analyzers/injection/image-auto.ts';
import { injection } from './analyzers/injection/injection.ts';
import { proxyImage } from './analyzers/injection/proxy-image.ts';
import { gatewayCrdServed, gatewayCrdVersions } from './analyzers/kubernetes-gateway/crd-versions.ts';
import { gatewaySelectors } from './analyzers/kubernetes-gateway/selectors.ts';
import { meshNetworks } from './analyzers/multicluster/mesh-networks.ts';
import { multiclusterServices } from './analyzers/multicluster/services.ts';
import { schemaAnalyzers } from './analyzers/schema/schema.ts';
import { serviceEntryAddresses } from './analyzers/service-entry/addresses.ts';
import { serviceEntryProtocols } from './analyzers/service-entry/protocols.ts';
import { portNames } from './analyzers/service/port-names.ts';
import { sidecarSelectors } from './analyzers/sidecar/selectors.ts';
import { lightstepProviders, telemetryProviders } from './analyzers/telemetry/providers.ts';
import { defaultTelemetries, telemetrySelectors } from './analyzers/telemetry/selectors.ts';
import { destinationHosts } from './analyzers/virtual-service/destination-hosts.ts';
import { destinationSubsets } from './analyzers/virtual-service/destination-rules.ts';
import { virtualServiceGateways } from './analyzers/virtual-service/gateways.ts';
import { jwtClaimRoutes } from './analyzers/virtual-service/jwt-claim-routes.ts';
import { meshHosts } from './analyzers/virtual-service/mesh-hosts.ts';
import { webhooks } from './analyzers/webhook/webhooks.ts';

/** Every analyzer. The order does not matter: messages are sorted. */
export const analyzers: readonly Analyzer[] = [
  annotations,
  alphaAnnotations,
  blockedCidrs,
  authorizationPolicies,
  conditions,
  deploymentServices,
  applicationUid,
  caCertificates,
  subsets,
  deprecation,
  envoyPatches,
  externalControlPlane,
  gatewayPorts,
  gatewayCertificates,
  gatewaySecrets,
  gatewayConflicts,
  injection,
  proxyImage,
  imageAuto,
  gatewaySelectors,
  gatewayCrdVersions,
  gatewayCrdServed,
  meshNetworks,
  multiclusterServices,
  portNames,
  sidecarSelectors,
  meshHosts,
  destinationHosts,
  destinationSubsets,
  virtualServiceGateways,
  jwtClaimRoutes,
  serviceEntryAddresses,
  serviceEntryProtocols,
  webhooks,
  telemetryProviders,
  telemetrySelectors,
  defaultTelemetries,
  lightstepProviders,
  ...schemaAnalyzers,
];
