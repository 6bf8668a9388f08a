import { list, object, strings } from '../../schema/containers.ts';
import { oneOf, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { connectionPool } from '../destination-rule/schema.ts';
import { serverTls, sidecarPort } from '../gateway/schema.ts';
import { destination, workloadSelector } from '../schema.ts';
import type * as sidecar from './types.ts';

const captureMode = oneOf(['DEFAULT', 'IPTABLES', 'NONE']);

const ingress = object<sidecar.IstioIngressListener>({
  port: required(sidecarPort),
  bind: string(),
  captureMode,
  defaultEndpoint: string(),
  tls: optional(serverTls),
  connectionPool: optional(connectionPool),
});

const egress = object<sidecar.IstioEgressListener>({
  port: optional(sidecarPort),
  bind: string(),
  captureMode,
  hosts: required(strings()),
});

export const schema = object<sidecar.SidecarSpec>({
  workloadSelector: optional(workloadSelector),
  ingress: list(ingress),
  egress: list(egress),
  inboundConnectionPool: optional(connectionPool),
  outboundTrafficPolicy: optional(
    object<sidecar.SidecarOutboundTrafficPolicy>({ mode: oneOf(['REGISTRY_ONLY', 'ALLOW_ANY']), egressProxy: optional(destination) }),
  ),
});
