import type { ConnectionPoolSettings } from '../destination-rule/types.ts';
import type { Port, ServerTlsSettings } from '../gateway/types.ts';
import type { Destination, WorkloadSelector } from '../types.ts';

/** networking.istio.io Sidecar. */
export interface SidecarSpec {
  readonly workloadSelector?: WorkloadSelector;
  readonly ingress: readonly IstioIngressListener[];
  readonly egress: readonly IstioEgressListener[];
  readonly inboundConnectionPool?: ConnectionPoolSettings;
  readonly outboundTrafficPolicy?: SidecarOutboundTrafficPolicy;
}

export type CaptureMode = 'DEFAULT' | 'IPTABLES' | 'NONE';

export interface IstioIngressListener {
  readonly port: Port;
  readonly bind: string;
  readonly captureMode: CaptureMode;
  /** 127.0.0.1:PORT, 0.0.0.0:PORT or unix:///path; "" is the service's own port. */
  readonly defaultEndpoint: string;
  readonly tls?: ServerTlsSettings;
  readonly connectionPool?: ConnectionPoolSettings;
}

export interface IstioEgressListener {
  /** Absent: the listener for all ports no other egress listener names. */
  readonly port?: Port;
  readonly bind: string;
  readonly captureMode: CaptureMode;
  /** "namespace/dnsName"; namespace may be "*", "." or "~". */
  readonly hosts: readonly string[];
}

export interface SidecarOutboundTrafficPolicy {
  readonly mode: 'REGISTRY_ONLY' | 'ALLOW_ANY';
  readonly egressProxy?: Destination;
}
