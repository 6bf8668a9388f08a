import type { KindExceptions } from './exception.ts';

const group = 'networking.istio.io';

/** VirtualService, DestinationRule, Gateway, ServiceEntry, Sidecar, WorkloadEntry. */
export const trafficExceptions: readonly KindExceptions[] = [
  {
    group,
    kinds: ['VirtualService'],
    fields: [
      { path: 'tcp[].match[].sourceSubnet', support: 'refused', consequence: 'has no effect, as in Istio: the match ignores where the connection comes from' },
      { path: 'http[].fault.delay.exponentialDelay', support: 'refused', consequence: 'is refused, as by Istio: use fixedDelay' },
      { path: 'http[].fault.abort.http2Error', support: 'refused', consequence: 'is refused, as by Istio: use httpStatus or grpcStatus' },
    ],
  },
  {
    group,
    kinds: ['DestinationRule'],
    fields: [
      { path: '**.outlierDetection.consecutiveErrors', support: 'refused', consequence: 'has no effect, as in Istio: use consecutive5xxErrors or consecutiveGatewayErrors' },
      { path: '**.loadBalancer.backendUtilization', support: 'refused', consequence: 'has no effect: the endpoint with the fewest requests is taken' },
    ],
  },
  {
    group,
    kinds: ['Gateway'],
    fields: [
      { path: 'servers[].tls.tlsCertificates[].caCertificates', support: 'refused', consequence: 'has no effect, as in Istio: clients are checked by tls.caCertificates' },
      { path: 'servers[].defaultEndpoint', support: 'refused', consequence: 'has no effect, as in Istio: where requests go is said by VirtualServices' },
    ],
  },
];
