/** One of Istio's annotations. Facts of its API (annotation/annotations.yaml). */
export interface KnownAnnotation {
  readonly name: string;
  /** Kinds it belongs to; "Any" for all. */
  readonly kinds: readonly string[];
  readonly deprecated: boolean;
  readonly alpha: boolean;
}

const alphaOnPods = [
  'prometheus.istio.io/merge-metrics',
  'traffic.sidecar.istio.io/includeInboundPorts',
  'sidecar.istio.io/userVolumeMount',
  'sidecar.istio.io/proxyMemoryLimit',
  'sidecar.istio.io/status',
  'sidecar.istio.io/rewriteAppHTTPProbers',
  'sidecar.istio.io/proxyImage',
  'sidecar.istio.io/proxyImageType',
  'sidecar.istio.io/proxyCPU',
  'sidecar.istio.io/proxyCPULimit',
  'sidecar.istio.io/proxyMemory',
  'sidecar.istio.io/interceptionMode',
  'sidecar.istio.io/bootstrapOverride',
  'sidecar.istio.io/statsHistogramBuckets',
  'sidecar.istio.io/statsFlushInterval',
  'sidecar.istio.io/statsEvictionInterval',
  'sidecar.istio.io/statsHistogramBins',
  'sidecar.istio.io/userVolume',
  'status.sidecar.istio.io/port',
  'sidecar.istio.io/logLevel',
  'sidecar.istio.io/componentLogLevel',
  'sidecar.istio.io/agentLogLevel',
  'sidecar.istio.io/nativeSidecar',
  'readiness.status.sidecar.istio.io/initialDelaySeconds',
  'readiness.status.sidecar.istio.io/periodSeconds',
  'readiness.status.sidecar.istio.io/failureThreshold',
  'readiness.status.sidecar.istio.io/applicationPorts',
  'traffic.sidecar.istio.io/includeOutboundIPRanges',
  'traffic.sidecar.istio.io/excludeOutboundIPRanges',
  'traffic.sidecar.istio.io/excludeInboundPorts',
  'traffic.sidecar.istio.io/excludeInterfaces',
  'traffic.sidecar.istio.io/includeOutboundPorts',
  'traffic.sidecar.istio.io/excludeOutboundPorts',
  'istio.io/rev',
  'proxy.istio.io/overrides',
  'inject.istio.io/templates',
  'ambient.istio.io/bypass-inbound-capture',
  'istio.io/reroute-virtual-interfaces',
  'ambient.istio.io/dns-capture',
];

const settledOnPods = ['proxy.istio.io/config', 'ambient.istio.io/redirection'];

const deprecatedAlphaOnPods = [
  'sidecar.istio.io/discoveryAddress',
  'sidecar.istio.io/statsInclusionPrefixes',
  'sidecar.istio.io/statsInclusionSuffixes',
  'sidecar.istio.io/statsInclusionRegexps',
  'traffic.sidecar.istio.io/kubevirtInterfaces',
  'sidecar.istio.io/extraStatTags',
  'sidecar.istio.io/statsCompression',
];

const elsewhere: readonly (readonly [name: string, kinds: readonly string[], flags?: string])[] = [
  ['alpha.istio.io/kubernetes-serviceaccounts', ['Service'], 'alpha deprecated'],
  ['alpha.istio.io/canonical-serviceaccounts', ['Service'], 'alpha deprecated'],
  ['networking.istio.io/exportTo', ['Service'], 'alpha'],
  ['traffic.istio.io/nodeSelector', ['Service']],
  ['sidecar.istio.io/inject', ['Pod'], 'deprecated'],
  ['kubernetes.io/ingress.class', ['Ingress']],
  ['galley.istio.io/analyze-suppress', ['Any'], 'alpha'],
  ['istio.io/dry-run', ['AuthorizationPolicy'], 'alpha'],
  ['istio.io/autoRegistrationGroup', ['WorkloadEntry'], 'alpha'],
  ['istio.io/workloadController', ['WorkloadEntry'], 'alpha'],
  ['istio.io/connectedAt', ['WorkloadEntry'], 'alpha'],
  ['istio.io/disconnectedAt', ['WorkloadEntry'], 'alpha'],
  ['topology.istio.io/controlPlaneClusters', ['Namespace'], 'alpha'],
  ['gateway.istio.io/controller-version', ['Any'], 'alpha'],
  ['ambient.istio.io/waypoint-inbound-binding', ['GatewayClass', 'Gateway'], 'alpha'],
  ['gateway.istio.io/service-account', ['Gateway'], 'alpha'],
  ['gateway.istio.io/name-override', ['Gateway'], 'alpha'],
  ['networking.istio.io/service-type', ['Gateway'], 'alpha'],
  ['networking.istio.io/traffic-distribution', ['Namespace', 'Service', 'ServiceEntry'], 'alpha'],
  ['istio.io/use-waypoint-canary-weight', ['Service', 'ServiceEntry', 'Namespace'], 'alpha'],
];

const onPod = (flags: Pick<KnownAnnotation, 'alpha' | 'deprecated'>) => (name: string): KnownAnnotation => ({ name, kinds: ['Pod'], ...flags });

const all: readonly KnownAnnotation[] = [
  ...alphaOnPods.map(onPod({ alpha: true, deprecated: false })),
  ...settledOnPods.map(onPod({ alpha: false, deprecated: false })),
  ...deprecatedAlphaOnPods.map(onPod({ alpha: true, deprecated: true })),
  ...elsewhere.map(([name, kinds, flags = '']) => ({ name, kinds, alpha: flags.includes('alpha'), deprecated: flags.includes('deprecated') })),
];

/** By name. */
export const knownAnnotations: ReadonlyMap<string, KnownAnnotation> = new Map(all.map((one) => [one.name, one]));

/** Set by the control plane or by controllers, so nobody is told of them. */
export const ignoredAnnotations: readonly string[] = ['sidecar.istio.io/status', 'gateway.istio.io/controller-version', 'istio.io/rev'];

/** True for an annotation in Istio's hands, known or not. */
export function isIstioAnnotation(name: string): boolean {
  return name === 'kubernetes.io/ingress.class' || (name.split('/')[0] ?? '').endsWith('istio.io');
}
