import { listed, messageType } from './message-type.ts';

/** Messages on schemas, references, annotations, webhooks, the mesh's settings and its installation. */
export const installation = {
  internalError: messageType({ code: 'IST0001', name: 'InternalError', level: 'Error', about: 'A bug of the analysis itself.' }, (detail: string) => `Internal error: ${detail}`),
  deprecated: messageType({ code: 'IST0002', name: 'Deprecated', level: 'Warning', about: 'A field or kind that is deprecated.' }, (detail: string) => `Deprecated: ${detail}`),
  notFound: messageType(
    { code: 'IST0101', name: 'ReferencedResourceNotFound', level: 'Error', about: 'An object names another one that does not exist.' },
    (what: string, name: string) => `The ${what} it refers to does not exist: "${name}"`,
  ),
  schemaError: messageType({ code: 'IST0106', name: 'SchemaValidationError', level: 'Error', about: 'An object that does not decode or is not valid.' }, (problem: string) => `The object is not valid: ${problem}`),
  misplacedAnnotation: messageType(
    { code: 'IST0107', name: 'MisplacedAnnotation', level: 'Warning', about: 'An annotation on a kind it does not belong to.' },
    (annotation: string, kinds: string) => `The annotation ${annotation} does nothing here: it belongs to ${kinds}.`,
  ),
  unknownAnnotation: messageType(
    { code: 'IST0108', name: 'UnknownAnnotation', level: 'Warning', about: 'An annotation of Istio\'s that does not exist.' },
    (annotation: string, meant: string | undefined) => `There is no annotation ${annotation}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
  ),
  invalidAnnotation: messageType({ code: 'IST0125', name: 'InvalidAnnotation', level: 'Warning', about: 'An annotation with a wrong value.' }, (annotation: string, problem: string) => `The annotation ${annotation} is not valid: ${problem}`),
  unknownRegistry: messageType(
    { code: 'IST0126', name: 'UnknownMeshNetworksServiceRegistry', level: 'Error', about: 'MeshNetworks names a registry that does not exist.' },
    (registry: string, network: string) => `There is no service registry ${registry}, which the network ${network} names.`,
  ),
  schemaWarning: messageType({ code: 'IST0133', name: 'SchemaWarning', level: 'Warning', about: 'A valid object with something doubtful in it.' }, (problem: string) => `The object is doubtful: ${problem}`),
  deprecatedAnnotation: messageType(
    { code: 'IST0135', name: 'DeprecatedAnnotation', level: 'Info', about: 'An annotation that is deprecated.' },
    (annotation: string, instead: string) => `The annotation "${annotation}" is deprecated${instead}.`,
  ),
  alphaAnnotation: messageType(
    { code: 'IST0136', name: 'AlphaAnnotation', level: 'Info', about: 'An annotation of alpha quality.' },
    (annotation: string) => `The annotation "${annotation}" is of alpha quality: it may change.`,
  ),
  invalidWebhook: messageType({ code: 'IST0139', name: 'InvalidWebhook', level: 'Error', about: 'An injection webhook that overlaps with another, or whose service does not exist.' }, (problem: string) => problem),
  unsupportedGatewayApi: messageType(
    { code: 'IST0156', name: 'UnsupportedGatewayAPIVersion', level: 'Error', about: 'A CRD of the Gateway API that does not serve v1beta1.' },
    (version: string, minimum: string) => `The CRD serves the Gateway API version ${version}, not ${minimum}, which is needed.`,
  ),
  invalidExternalControlPlane: messageType(
    { code: 'IST0163', name: 'InvalidExternalControlPlaneConfig', level: 'Warning', about: 'A webhook without a valid address of the external control plane.' },
    (address: string, webhook: string, problem: string) => `The address "${address}" by which webhook ${webhook} reaches the external control plane ${problem}.`,
  ),
  externalControlPlaneIp: messageType(
    { code: 'IST0164', name: 'ExternalControlPlaneAddressIsNotAHostname', level: 'Info', about: 'A webhook that reaches the external control plane by IP address.' },
    (address: string, webhook: string) => `The address "${address}" by which webhook ${webhook} reaches the external control plane is an IP address: in production a host name is better.`,
  ),
  futureUnsupportedGatewayApi: messageType(
    { code: 'IST0172', name: 'FutureUnsupportedGatewayAPIVersion', level: 'Warning', about: 'A CRD of the Gateway API that does not serve v1.' },
    (version: string, minimum: string) => `The CRD serves the Gateway API version ${version}, not ${minimum}, which will be needed.`,
  ),
  gatewayCrdTooOld: messageType(
    { code: 'IST0176', name: 'GatewayAPICRDVersionBelowMinimum', level: 'Warning', about: 'A CRD of the Gateway API that is older than what is read.' },
    (crd: string, installed: string, minimum: string) => `The CRD ${crd} is of version ${installed}, and at least ${minimum} is needed: objects of this kind are ignored.`,
  ),
};

/** Codes that are about a live Kubernetes cluster, which an analysis of objects cannot see. They are listed, and never raised. */
export const needCluster = {
  insufficientPermissions: messageType(
    { code: 'IST0141', name: 'InsufficientPermissions', level: 'Error', about: 'Missing rights to install (istioctl precheck).' },
    (resource: string, problem: string) => `The right to create ${resource} is missing (${problem}).`,
  ),
  unsupportedKubernetes: messageType(
    { code: 'IST0142', name: 'UnsupportedKubernetesVersion', level: 'Error', about: 'A Kubernetes that is too old (istioctl precheck).' },
    (version: string, minimum: string) => `Kubernetes ${version} is older than ${minimum}.`,
  ),
  localhostListener: messageType(
    { code: 'IST0143', name: 'LocalhostListener', level: 'Error', about: 'A service port on which the pod listens on localhost only (needs a look into the running pod).' },
    (port: string) => `Port ${port} is exposed by a Service, but the application listens on localhost only.`,
  ),
  unknownCompatibility: messageType(
    { code: 'IST0168', name: 'UnknownUpgradeCompatibility', level: 'Warning', about: 'A change between releases that cannot be judged by itself (istioctl precheck).' },
    (fields: readonly string[]) => `The effect of an upgrade on ${listed(fields)} cannot be judged.`,
  ),
  updateIncompatibility: messageType(
    { code: 'IST0169', name: 'UpdateIncompatibility', level: 'Warning', about: 'A setting whose default changed between releases (istioctl precheck).' },
    (field: string, release: string, info: string) => `The default of ${field} changed in release ${release}: ${info}.`,
  ),
};
