import { cases, documents, object } from '../../testing/cases.ts';
import { sidecarSelectors } from './selectors.ts';

const sidecar = (name: string, labels?: string, namespace = 'shop') => object('networking.istio.io/v1', 'Sidecar', `{name: ${name}, namespace: ${namespace}}`, `spec: {${labels === undefined ? '' : `workloadSelector: {labels: ${labels}}, `}egress: [{hosts: ["./*"]}]}`);
const pod = (metadata = '') => object('v1', 'Pod', `{name: cart-1, namespace: shop, labels: {app: cart, version: v1}${metadata}}`, 'spec: {containers: [{name: a}]}');
const ambient = object('v1', 'Namespace', '{name: shop, labels: {istio.io/dataplane-mode: ambient}}', '');

cases(sidecarSelectors, {
  'a selector no pod has': { yaml: documents(sidecar('a', '{app: chart}'), pod()), finds: [['IST0101 Sidecar a.shop', 4, /"app=chart"/]] },
  'a selector only pods of another namespace have': { yaml: documents(sidecar('a', '{app: cart}', 'bank'), pod()), finds: [['IST0101 Sidecar a.bank', 4, /./]] },
  'two that select one pod': { yaml: documents(sidecar('a', '{app: cart}'), sidecar('b', '{version: v1}'), pod()), finds: [['IST0110 Sidecar a.shop', 3, /"a" and "b" in namespace "shop".*"cart-1"/], ['IST0110 Sidecar b.shop', 8, /./]] },
  'two for a whole namespace': { yaml: documents(sidecar('a'), sidecar('b')), finds: [['IST0111 Sidecar a.shop', 3, /"a" and "b" in namespace "shop"/], ['IST0111 Sidecar b.shop', 8, /./]] },
  'one for the namespace and one for a pod': { yaml: documents(sidecar('a'), sidecar('b', '{app: cart}'), pod()), finds: [] },
  'ambient pods have no sidecar': { yaml: documents(sidecar('a', '{app: cart}'), pod(', annotations: {ambient.istio.io/redirection: enabled}')), finds: [['IST0167 Sidecar a.shop', 3, /workload is in ambient mode/]] },
  'nor has an ambient namespace': { yaml: documents(sidecar('a'), ambient), finds: [['IST0167 Sidecar a.shop', 3, /namespace is in ambient mode/]] },
});
