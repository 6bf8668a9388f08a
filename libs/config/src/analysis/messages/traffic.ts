import { listed, messageType } from './message-type.ts';

/** Messages on routing, services, gateways and Envoy patches. */
export const traffic = {
  conflictingMeshHosts: messageType(
    { code: 'IST0109', name: 'ConflictingMeshGatewayVirtualServiceHosts', level: 'Error', about: 'Two VirtualServices own the same host in the mesh.' },
    (virtualServices: string, host: string) => `The VirtualServices ${virtualServices} all route the host ${host} in the mesh, and only one of them is used: merge them into one.`,
  ),
  portRequired: messageType(
    { code: 'IST0112', name: 'VirtualServiceDestinationPortSelectorRequired', level: 'Error', about: 'A destination with several ports needs `port.number`.' },
    (host: string, ports: readonly number[]) => `The destination "${host}" has the ports ${ports.join(', ')}: say which one with port.number.`,
  ),
  noServerVerification: messageType(
    { code: 'IST0128', name: 'NoServerCertificateVerificationDestinationLevel', level: 'Warning', about: 'A DestinationRule starts TLS without caCertificates, so any server certificate is accepted.' },
    (rule: string, namespace: string, mode: string, host: string) => `DestinationRule ${rule} in namespace ${namespace} uses TLS mode ${mode} without caCertificates: the certificate of ${host} is not verified.`,
  ),
  noServerVerificationOnPort: messageType(
    { code: 'IST0129', name: 'NoServerCertificateVerificationPortLevel', level: 'Warning', about: 'The same for the settings of one port.' },
    (rule: string, namespace: string, mode: string, host: string, port: string) => `DestinationRule ${rule} in namespace ${namespace} uses TLS mode ${mode} without caCertificates: the certificate of ${host} at port ${port} is not verified.`,
  ),
  unreachableRule: messageType(
    { code: 'IST0130', name: 'VirtualServiceUnreachableRule', level: 'Warning', about: 'A rule that earlier rules leave nothing to.' },
    (rule: string, reason: string) => `VirtualService rule ${rule} is never used: ${reason}.`,
  ),
  ineffectiveMatch: messageType(
    { code: 'IST0131', name: 'VirtualServiceIneffectiveMatch', level: 'Info', about: 'A match that an earlier rule takes already.' },
    (rule: string, match: string, earlier: string) => `VirtualService rule ${rule}: match ${match} is never used, since ${earlier} takes it first.`,
  ),
  hostNotInGateway: messageType(
    { code: 'IST0132', name: 'VirtualServiceHostNotFoundInGateway', level: 'Warning', about: 'No server of the gateway has a host of the VirtualService.' },
    (hosts: readonly string[], virtualService: string, gateway: string) => `None of the hosts ${listed(hosts)} of VirtualService ${virtualService} is served by Gateway ${gateway}.`,
  ),
  addressesRequired: messageType(
    { code: 'IST0134', name: 'ServiceEntryAddressesRequired', level: 'Warning', about: 'A TCP port of a ServiceEntry is told apart by its address, and it has none.' },
    () => 'A port of protocol TCP (or none) needs spec.addresses, unless addresses are allocated automatically.',
  ),
  duplicateCertificate: messageType(
    { code: 'IST0138', name: 'GatewayDuplicateCertificate', level: 'Warning', about: 'Gateways with one certificate: HTTP/2 clients reuse a connection and get 404.' },
    (gateways: readonly string[]) => `The gateways ${listed(gateways)} serve the same certificate: HTTP/2 clients may reuse a connection for the other's hosts and get 404.`,
  ),
  ingressRulesNotAffected: messageType(
    { code: 'IST0140', name: 'IngressRouteRulesNotAffected', level: 'Warning', about: 'Subset rules of the mesh do not act on requests that come through a gateway.' },
    (withSubset: string, virtualService: string) => `The subsets in VirtualService ${withSubset} do not act on requests through the gateways of VirtualService ${virtualService}.`,
  ),
  conflictingGateways: messageType(
    { code: 'IST0145', name: 'ConflictingGateways', level: 'Error', about: 'Gateways with the same selector, port and host.' },
    (gateways: string, selector: string, port: string, hosts: string) => `Conflicts with the gateways ${gateways} (workload selector ${selector}, port ${port}, hosts ${hosts}).`,
  ),
  relativeOperation: messageType(
    { code: 'IST0151', name: 'EnvoyFilterUsesRelativeOperation', level: 'Warning', about: 'A patch relative to another filter, without a priority, depends on the order of objects.' },
    () => 'A patch is relative to another filter and the EnvoyFilter has no priority, so it may come too early to apply: set a priority, or use ADD or INSERT_FIRST.',
  ),
  replaceIncorrectly: messageType(
    { code: 'IST0152', name: 'EnvoyFilterUsesReplaceOperationIncorrectly', level: 'Error', about: 'REPLACE works on HTTP_FILTER, NETWORK_FILTER and VIRTUAL_HOST.' },
    () => 'REPLACE works only with applyTo HTTP_FILTER, NETWORK_FILTER or VIRTUAL_HOST.',
  ),
  addIncorrectly: messageType(
    { code: 'IST0153', name: 'EnvoyFilterUsesAddOperationIncorrectly', level: 'Error', about: 'ADD is ignored for ROUTE_CONFIGURATION and HTTP_ROUTE.' },
    () => 'ADD is ignored with applyTo ROUTE_CONFIGURATION or HTTP_ROUTE.',
  ),
  removeIncorrectly: messageType(
    { code: 'IST0154', name: 'EnvoyFilterUsesRemoveOperationIncorrectly', level: 'Error', about: 'REMOVE is ignored for ROUTE_CONFIGURATION and HTTP_ROUTE.' },
    () => 'REMOVE is ignored with applyTo ROUTE_CONFIGURATION or HTTP_ROUTE.',
  ),
  relativeOperationWithVersion: messageType(
    { code: 'IST0155', name: 'EnvoyFilterUsesRelativeOperationWithProxyVersion', level: 'Warning', about: 'A patch relative to one with a proxyVersion: it may stop applying during an upgrade.' },
    () => 'A patch is relative to a filter that another patch with a proxyVersion brings, and the EnvoyFilter has no priority: it may stop applying during an upgrade. Set a priority, or use ADD or INSERT_FIRST.',
  ),
  invalidGatewayCredential: messageType(
    { code: 'IST0161', name: 'InvalidGatewayCredential', level: 'Error', about: 'The Secret of a gateway holds no valid certificate.' },
    (gateway: string, namespace: string) => `The Secret that Gateway ${gateway} names in namespace ${namespace} holds no valid certificate and key.`,
  ),
  gatewayPortNotOnService: messageType(
    { code: 'IST0162', name: 'GatewayPortNotDefinedOnService', level: 'Warning', about: 'No Service of the gateway pods exposes the server port.' },
    (port: number, selector: string) => `The gateway listens on port ${port}, which no Service of its pods (selector ${selector}) exposes: it cannot be reached through the Service.`,
  ),
  internalGateway: messageType(
    { code: 'IST0165', name: 'ReferencedInternalGateway', level: 'Warning', about: 'A VirtualService names a gateway the control plane generates for itself.' },
    (virtualService: string, gateway: string) => `VirtualService ${virtualService} names ${gateway}, a gateway the control plane generated for itself.`,
  ),
  subsetSelectsNoPods: messageType(
    { code: 'IST0173', name: 'DestinationRuleSubsetNotSelectPods', level: 'Error', about: 'No pod has the labels of a subset: its requests get 503.' },
    (subset: string) => `The subset ${subset} selects no pods, so its requests get 503.`,
  ),
  unknownDestinationRuleHost: messageType(
    { code: 'IST0174', name: 'UnknownDestinationRuleHost', level: 'Warning', about: 'The host of a DestinationRule is no service of the mesh.' },
    (host: string) => `The host ${host} of the DestinationRule is no service of the mesh.`,
  ),
  conflictingServiceEntryProtocol: messageType(
    { code: 'IST0177', name: 'ConflictingServiceEntryProtocol', level: 'Warning', about: 'ServiceEntries that give one host and port different protocols.' },
    (entries: string, host: string, port: number, protocols: string) => `The ServiceEntries ${entries} give host "${host}" and port ${port} different protocols (${protocols}).`,
  ),
};
