/** networking.k8s.io Ingress. */
export interface IngressSpec {
  readonly ingressClassName?: string;
  readonly defaultBackend?: IngressBackend;
  readonly tls: readonly IngressTls[];
  readonly rules: readonly IngressRule[];
}

export interface IngressTls {
  readonly hosts: readonly string[];
  readonly secretName: string;
}

export interface IngressRule {
  /** "" is every host. */
  readonly host: string;
  readonly http?: { readonly paths: readonly IngressPath[] };
}

export interface IngressPath {
  readonly path: string;
  readonly pathType: 'ImplementationSpecific' | 'Exact' | 'Prefix';
  readonly backend: IngressBackend;
}

/** Exactly one is set. */
export interface IngressBackend {
  readonly service?: { readonly name: string; readonly port: { readonly number: number; readonly name: string } };
  readonly resource?: { readonly apiGroup: string; readonly kind: string; readonly name: string };
}

/** networking.k8s.io IngressClass. */
export interface IngressClassSpec {
  readonly controller: string;
}
