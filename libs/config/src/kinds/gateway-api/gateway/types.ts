import type { LabelSelector, StringMap } from '../../types.ts';
import type { LocalObjectReference, NamespacedReference, ParentReference } from '../references.ts';

/** gateway.networking.k8s.io Gateway. */
export interface KubeGatewaySpec {
  readonly gatewayClassName: string;
  readonly listeners: readonly GatewayListenerSpec[];
  /** Empty: one deployment of its own; a Hostname names the Service of one that exists. */
  readonly addresses: readonly GatewayAddress[];
  readonly infrastructure?: { readonly labels: StringMap; readonly annotations: StringMap; readonly parametersRef?: LocalObjectReference };
  readonly allowedListeners?: { readonly namespaces?: RouteNamespaces };
  readonly tls?: GatewayTls;
  readonly defaultScope?: 'All' | 'None';
}

/** A listener of a Gateway or ListenerSet. */
export interface GatewayListenerSpec {
  readonly name: string;
  /** Absent: every host. */
  readonly hostname?: string;
  readonly port: number;
  /** HTTP, HTTPS, TLS, TCP; others are possible and reported as unsupported. */
  readonly protocol: string;
  readonly tls?: ListenerTls;
  readonly allowedRoutes?: { readonly namespaces?: RouteNamespaces; readonly kinds: readonly RouteGroupKind[] };
}

export interface ListenerTls {
  readonly mode: 'Terminate' | 'Passthrough';
  readonly certificateRefs: readonly NamespacedReference[];
  readonly options: StringMap;
}

export interface RouteNamespaces {
  readonly from: 'Same' | 'All' | 'Selector' | 'None';
  readonly selector?: LabelSelector;
}

export interface RouteGroupKind {
  readonly group: string;
  readonly kind: string;
}

export interface GatewayAddress {
  readonly type: string;
  readonly value: string;
}

export interface GatewayTls {
  readonly backend?: { readonly clientCertificateRef?: NamespacedReference };
  readonly frontend?: { readonly default: FrontendTls; readonly perPort: readonly { readonly port: number; readonly tls: FrontendTls }[] };
}

/** How clients' certificates are checked. */
export interface FrontendTls {
  readonly validation?: { readonly caCertificateRefs: readonly NamespacedReference[]; readonly mode: 'AllowValidOnly' | 'AllowInsecureFallback' };
}

/** gateway.networking.k8s.io GatewayClass. */
export interface GatewayClassSpec {
  readonly controllerName: string;
  readonly description: string;
  readonly parametersRef?: NamespacedReference;
}

/** gateway.networking.k8s.io ListenerSet: more listeners for a Gateway. */
export interface ListenerSetSpec {
  readonly parentRef: Pick<ParentReference, 'group' | 'kind' | 'name' | 'namespace'>;
  readonly listeners: readonly GatewayListenerSpec[];
}
