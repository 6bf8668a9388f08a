import { ipReason, portReason } from '../../../rules/addresses.ts';
import { fqdnReason } from '../../../rules/hosts.ts';
import { list, stringMap, strings } from '../../../schema/containers.ts';
import { bool, oneOf, string } from '../../../schema/scalars.ts';
import { optional, required, withDefault } from '../../../schema/schema.ts';
import { endpointPort, objectReference } from '../endpoints/kind.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import type { EndpointSliceSpec, SliceEndpoint } from './types.ts';

export const endpointSlice = kubeKind<EndpointSliceSpec>({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  versions: ['v1', 'v1beta1'],
  body: 'object',
  schema: kubeObject<EndpointSliceSpec>({
    // Kubernetes asks for it; without it the addresses speak for themselves
    addressType: oneOf(['IPv4', 'IPv6', 'FQDN']),
    endpoints: list(
      kubeObject<SliceEndpoint>({
        addresses: required(strings({ minItems: 1 })),
        conditions: kubeObject<SliceEndpoint['conditions']>({ ready: withDefault(bool(), true), serving: optional(bool()), terminating: optional(bool()) }),
        hostname: string(),
        nodeName: string(),
        zone: string(),
        targetRef: optional(objectReference),
        deprecatedTopology: stringMap(),
      }),
    ),
    ports: list(endpointPort),
  }),
  validate(spec, about, findings) {
    const reason = spec.addressType === 'FQDN' ? fqdnReason : ipReason;
    for (const [i, one] of spec.endpoints.entries())
      for (const [j, address] of one.addresses.entries()) findings.check(`endpoints[${i}].addresses[${j}]`, reason(address));
    for (const [i, port] of spec.ports.entries()) if (port.port !== 0) findings.check(`ports[${i}].port`, portReason(port.port));
    if ((about.labels['kubernetes.io/service-name'] ?? '') === '')
      findings.warn('metadata.labels', 'has no kubernetes.io/service-name, so it belongs to no Service');
  },
});
