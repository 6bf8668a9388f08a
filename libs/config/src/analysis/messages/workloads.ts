import { listed, messageType } from './message-type.ts';

/** Messages on pods, namespaces, injection, selectors and policies. */
export const workloads = {
  namespaceNotInjected: messageType(
    { code: 'IST0102', name: 'NamespaceNotInjected', level: 'Info', about: 'A namespace whose pods get no sidecar.' },
    (namespace: string) => `Pods in this namespace get no sidecar. To change that: kubectl label namespace ${namespace} istio-injection=enabled; to say it is meant so: kubectl label namespace ${namespace} istio-injection=disabled.`,
  ),
  podMissingProxy: messageType(
    { code: 'IST0103', name: 'PodMissingProxy', level: 'Warning', about: 'A pod without a sidecar in an injected namespace.' },
    (pod: string) => `The pod ${pod} has no sidecar although its namespace is injected: restart its workload.`,
  ),
  conflictingSidecars: messageType(
    { code: 'IST0110', name: 'ConflictingSidecarWorkloadSelectors', level: 'Error', about: 'Two Sidecars select the same pod.' },
    (sidecars: readonly string[], namespace: string, pod: string) => `The Sidecars ${listed(sidecars)} in namespace "${namespace}" both select the pod "${pod}", and only one of them is used.`,
  ),
  multipleDefaultSidecars: messageType(
    { code: 'IST0111', name: 'MultipleSidecarsWithoutWorkloadSelectors', level: 'Error', about: 'Two Sidecars without a workload selector in one namespace.' },
    (sidecars: readonly string[], namespace: string) => `The Sidecars ${listed(sidecars)} in namespace "${namespace}" have no workload selector, and only one of them is used.`,
  ),
  severalServices: messageType(
    { code: 'IST0116', name: 'DeploymentAssociatedToMultipleServices', level: 'Warning', about: 'Services of one deployment give a port different transport protocols.' },
    (deployment: string, port: number, services: readonly string[]) => `The services ${listed(services)} of deployment ${deployment} give port ${port} different protocols.`,
  ),
  portName: messageType(
    { code: 'IST0118', name: 'PortNameIsNotUnderNamingConvention', level: 'Info', about: 'A port whose name does not say its protocol, which is then found out from the traffic.' },
    (name: string, port: number, targetPort: string) => `The name "${name}" of port ${port} (targetPort ${targetPort}) does not start with a protocol: write <protocol>[-<suffix>], or set appProtocol.`,
  ),
  multipleInjectionLabels: messageType(
    { code: 'IST0123', name: 'NamespaceMultipleInjectionLabels', level: 'Warning', about: 'A namespace with contradicting labels.' },
    (labels: readonly string[]) => `The namespace has the labels ${listed(labels)}, which contradict each other: keep one.`,
  ),
  noMatchingWorkloads: messageType(
    { code: 'IST0127', name: 'NoMatchingWorkloadsFound', level: 'Warning', about: 'An AuthorizationPolicy that selects no workload of the mesh.' },
    (labels: string) => `No workload of the mesh has the labels of this resource: ${labels}`,
  ),
  conflictingTargetPorts: messageType(
    { code: 'IST0137', name: 'DeploymentConflictingPorts', level: 'Warning', about: 'Services of one deployment reach one target port through different ports.' },
    (deployment: string, services: readonly string[], targetPort: string, ports: readonly number[]) =>
      `The services ${listed(services)} of deployment ${deployment} reach target port "${targetPort}" through different ports: ${ports.join(', ')}.`,
  ),
  reservedUser: messageType({ code: 'IST0144', name: 'InvalidApplicationUID', level: 'Warning', about: 'An application that runs as user 1337.' }, () => 'User 1337 is the sidecar\'s: the application\'s traffic is not captured.'),
  imageAutoWarning: messageType(
    { code: 'IST0146', name: 'ImageAutoWithoutInjectionWarning', level: 'Warning', about: 'A deployment with `image: auto` that no injection webhook selects.' },
    (kind: string, name: string) => `${kind} ${name} has "image: auto", but no injection webhook selects it.`,
  ),
  imageAutoError: messageType(
    { code: 'IST0147', name: 'ImageAutoWithoutInjectionError', level: 'Error', about: 'A pod whose image is still `auto`.' },
    (kind: string, name: string) => `${kind} ${name} has "image: auto", but no injection webhook replaced it.`,
  ),
  injectedByDefault: messageType(
    { code: 'IST0148', name: 'NamespaceInjectionEnabledByDefault', level: 'Info', about: 'A namespace injected because enableNamespacesByDefault is on.' },
    () => 'Pods in this namespace get a sidecar, because enableNamespacesByDefault is on.',
  ),
  jwtRoutingWithoutAuthentication: messageType(
    { code: 'IST0149', name: 'JwtClaimBasedRoutingWithoutRequestAuthN', level: 'Error', about: 'Routing by JWT claims on a gateway that validates no token.' },
    (key: string, gateway: string, pod: string) => `The VirtualService routes by the claim ${key}, but no RequestAuthentication applies to pod ${pod} of gateway ${gateway}: claims are known only after one validated the token.`,
  ),
  externalNamePort: messageType(
    { code: 'IST0150', name: 'ExternalNameServiceTypeInvalidPortName', level: 'Warning', about: 'A TCP port of an ExternalName service, whose traffic may not be forwarded.' },
    () => 'The port of this ExternalName service is TCP by its name: proxies may not forward its traffic correctly.',
  ),
  emptyTelemetryProviders: messageType(
    { code: 'IST0157', name: 'InvalidTelemetryProvider', level: 'Warning', about: 'Access logging that names no provider, with no default one.' },
    (name: string, namespace: string) => `The access logging of Telemetry ${name} in namespace "${namespace}" is ignored: it names no provider, and MeshConfig has no default one.`,
  ),
  proxyImageMismatch: messageType(
    { code: 'IST0158', name: 'PodsIstioProxyImageMismatchInNamespace', level: 'Warning', about: 'Pods whose sidecar is not the image the injector would use today.' },
    (pods: readonly string[]) => `The sidecars of the pods ${listed(pods)} are not of the image the injector uses: restart their workloads.`,
  ),
  conflictingTelemetries: messageType(
    { code: 'IST0159', name: 'ConflictingTelemetryWorkloadSelectors', level: 'Error', about: 'Two Telemetry resources select the same pod.' },
    (telemetries: readonly string[], namespace: string, pod: string) => `The Telemetries ${listed(telemetries)} in namespace "${namespace}" both select the pod "${pod}", and only one of them is used.`,
  ),
  multipleDefaultTelemetries: messageType(
    { code: 'IST0160', name: 'MultipleTelemetriesWithoutWorkloadSelectors', level: 'Error', about: 'Two Telemetry resources without a selector in one namespace.' },
    (telemetries: readonly string[], namespace: string) => `The Telemetries ${listed(telemetries)} in namespace "${namespace}" have no selector, and only one of them is used.`,
  ),
  ineffectiveSelector: messageType(
    { code: 'IST0166', name: 'IneffectiveSelector', level: 'Warning', about: 'A policy that selects the pods of a Kubernetes Gateway instead of naming it.' },
    (gateway: string) => `The selector does nothing on the Kubernetes Gateway ${gateway}: name it in targetRefs instead.`,
  ),
  ineffectivePolicy: messageType({ code: 'IST0167', name: 'IneffectivePolicy', level: 'Warning', about: 'A policy without effect.' }, (reason: string) => `The policy has no effect: ${reason}.`),
  inconsistentService: messageType(
    { code: 'IST0170', name: 'MultiClusterInconsistentService', level: 'Warning', about: 'A service that differs between clusters.' },
    (service: string, namespace: string, clusters: readonly string[], reasons: string) => `The service ${service} in namespace "${namespace}" differs between the clusters ${listed(clusters)}: ${reasons}.`,
  ),
  negativeCondition: messageType(
    { code: 'IST0171', name: 'NegativeConditionStatus', level: 'Warning', about: 'The status of an object says that something is wrong.' },
    (type: string, reason: string, message: string) => `The status has a negative condition: type=${type}, reason=${reason}, message=${message}.`,
  ),
  unrestrictedJwksUri: messageType(
    { code: 'IST0175', name: 'JwksUriFetchUnrestricted', level: 'Warning', about: 'RequestAuthentications exist and istiod may fetch keys from anywhere.' },
    (count: number, names: string) => `BLOCKED_CIDRS_IN_JWKS_URIS is not set, and ${count} RequestAuthentication(s) exist (${names}): set it so that keys are fetched from trusted networks only.`,
  ),
};
