import { ipReason, portReason } from '../../../rules/addresses.ts';
import { list } from '../../../schema/containers.ts';
import { int, string } from '../../../schema/scalars.ts';
import { optional, required, withDefault } from '../../../schema/schema.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import type { EndpointAddress, EndpointPort, EndpointsSpec, EndpointsSubset, ObjectReference } from './types.ts';

export const objectReference = kubeObject<ObjectReference>({ kind: string(), name: string(), namespace: string() });

export const endpointPort = kubeObject<EndpointPort>({
  name: string(),
  port: int('int32'),
  protocol: withDefault(string(), 'TCP'),
  appProtocol: optional(string()),
});

const address = kubeObject<EndpointAddress>({ ip: required(string()), hostname: string(), nodeName: string(), targetRef: optional(objectReference) });

export const endpoints = kubeKind<EndpointsSpec>({
  kind: 'Endpoints',
  plural: 'endpoints',
  shortNames: ['ep'],
  body: 'object',
  schema: kubeObject<EndpointsSpec>({
    subsets: list(kubeObject<EndpointsSubset>({ addresses: list(address), notReadyAddresses: list(address), ports: list(endpointPort) })),
  }),
  validate(spec, _about, findings) {
    for (const [i, subset] of spec.subsets.entries()) {
      for (const field of ['addresses', 'notReadyAddresses'] as const)
        for (const [j, one] of subset[field].entries()) findings.check(`subsets[${i}].${field}[${j}].ip`, ipReason(one.ip));
      for (const [j, port] of subset.ports.entries()) findings.check(`subsets[${i}].ports[${j}].port`, portReason(port.port));
    }
  },
});
