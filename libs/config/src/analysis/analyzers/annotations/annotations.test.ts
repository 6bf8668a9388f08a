import { cases, object } from '../../testing/cases.ts';
import { alphaAnnotations } from './alpha.ts';
import { annotations } from './annotations.ts';

const pod = (metadata: string, spec = 'spec: {containers: [{name: a, image: b}]}') => object('v1', 'Pod', metadata, spec);
const deployment = (metadata: string) => object('apps/v1', 'Deployment', metadata, 'spec: {selector: {}, template: {spec: {containers: [{name: a}]}}}');
const annotated = (name: string, value: string) => pod(`{name: a, annotations: {${name}: '${value}'}}`);

cases(annotations, {
  'annotations of others are none of its business': { yaml: annotated('example.com/team', 'blue'), finds: [] },
  'an annotation nobody knows, with the one that was meant': { yaml: annotated('sidecar.istio.io/logLvel', 'debug'), finds: [['IST0108 Pod a.default', 3, /logLvel; did you mean sidecar\.istio\.io\/logLevel\?/]] },
  'an annotation nobody knows nor means': { yaml: annotated('sidecar.istio.io/colour-of-the-sea', 'blue'), finds: [['IST0108 Pod a.default', 3, /colour-of-the-sea$/]] },
  'an annotation of pods on a Deployment': { yaml: deployment("{name: a, annotations: {sidecar.istio.io/logLevel: debug}}"), finds: [['IST0107 Deployment a.default', 3, /belongs to Pod/]] },
  'an annotation of Ingresses on a Service': { yaml: object('v1', 'Service', '{name: a, annotations: {kubernetes.io/ingress.class: istio}}', 'spec: {}'), finds: [['IST0107 Service a.default', 3, /Ingress/]] },
  'one that belongs to several kinds, where it belongs': { yaml: object('v1', 'Namespace', '{name: a, annotations: {networking.istio.io/traffic-distribution: PreferClose}}', ''), finds: [] },
  'a deprecated annotation and what to use instead': { yaml: annotated('sidecar.istio.io/inject', 'true'), finds: [['IST0135 Pod a.default', 3, /use the label/]] },
  'not when the label is there besides': { yaml: pod("{name: a, labels: {sidecar.istio.io/inject: 'true'}, annotations: {sidecar.istio.io/inject: 'true'}}"), finds: [] },
  'what the injector writes itself': { yaml: annotated('sidecar.istio.io/status', '{}'), finds: [] },
  'a mode that is none': { yaml: annotated('sidecar.istio.io/interceptionMode', 'IPTABLES'), finds: [['IST0125 Pod a.default', 3, /REDIRECT, TPROXY, NONE/]] },
  'ports that are none': { yaml: annotated('traffic.sidecar.istio.io/excludeInboundPorts', '80,http'), finds: [['IST0125 Pod a.default', 3, /"http" is not a port/]] },
  'all ports, where that is allowed': { yaml: annotated('traffic.sidecar.istio.io/includeInboundPorts', '*'), finds: [] },
  'ranges that are none': { yaml: annotated('traffic.sidecar.istio.io/excludeOutboundIPRanges', '10.0.0.0/8,10.0.0.0/40'), finds: [['IST0125 Pod a.default', 3, /10\.0\.0\.0\/40/]] },
  'IPv6 ranges': { yaml: annotated('traffic.sidecar.istio.io/includeOutboundIPRanges', 'fd00::/8'), finds: [] },
  'a count that is none': { yaml: annotated('readiness.status.sidecar.istio.io/periodSeconds', '2s'), finds: [['IST0125 Pod a.default', 3, /whole number/]] },
  'a quantity that is none': { yaml: annotated('sidecar.istio.io/proxyCPU', 'much'), finds: [['IST0125 Pod a.default', 3, /quantity/]] },
  'quantities': { yaml: annotated('sidecar.istio.io/proxyMemory', '128Mi'), finds: [] },
  'a flag that is none': { yaml: annotated('prometheus.istio.io/merge-metrics', 'maybe'), finds: [['IST0125 Pod a.default', 3, /neither true nor false/]] },
  'a proxy config with a field that is none': { yaml: annotated('proxy.istio.io/config', '{concurency: 2}'), finds: [['IST0125 Pod a.default', 3, /concurency/]] },
  'a proxy config that is no YAML': { yaml: annotated('proxy.istio.io/config', '{a: ['), finds: [['IST0125 Pod a.default', 3, /YAML/]] },
  'a proxy config': { yaml: annotated('proxy.istio.io/config', '{concurrency: 2, proxyMetadata: {A: b}}'), finds: [] },
});

cases(alphaAnnotations, {
  'an annotation of alpha quality': { yaml: annotated('sidecar.istio.io/logLevel', 'debug'), finds: [['IST0136 Pod a.default', 3, /alpha/]] },
  'a settled one': { yaml: annotated('proxy.istio.io/config', '{}'), finds: [] },
  'what the injector sets with a CNI plug-in': { yaml: annotated('sidecar.istio.io/interceptionMode', 'REDIRECT'), finds: [] },
  'the same set by hand': { yaml: pod("{name: a, annotations: {sidecar.istio.io/interceptionMode: REDIRECT}}", 'spec: {containers: [{name: a}], initContainers: [{name: istio-init}]}'), finds: [['IST0136 Pod a.default', 3, /interceptionMode/]] },
});
