import { cases, documents, object } from '../../testing/cases.ts';
import { imageAuto } from './image-auto.ts';
import { injection } from './injection.ts';
import { proxyImage } from './proxy-image.ts';

const namespace = (labels = '{}', name = 'shop') => object('v1', 'Namespace', `{name: ${name}, labels: ${labels}}`, '');
const pod = (containers: string, metadata = 'labels: {}', more = '') => object('v1', 'Pod', `{name: cart, namespace: shop, ${metadata}}`, `spec: {containers: [${containers}]${more}}`);
const injector = (values: object, name = 'istio-sidecar-injector') => object('v1', 'ConfigMap', `{name: ${name}, namespace: istio-system}`, `data: {values: '${JSON.stringify(values)}'}`);
const enabled = namespace('{istio-injection: enabled}');

cases(injection, {
  'a namespace that says nothing': { yaml: namespace(), finds: [['IST0102 Namespace shop', 3, /kubectl label namespace shop istio-injection=enabled/]] },
  'a namespace that says no, or has a revision, or is ambient, or is Istio\'s': { yaml: documents(namespace('{istio-injection: disabled}'), namespace('{istio.io/rev: canary}', 'a'), namespace('{istio.io/dataplane-mode: ambient}', 'b'), namespace('{}', 'istio-system')), finds: [] },
  'a namespace injected by default': { yaml: documents(namespace(), injector({ sidecarInjectorWebhook: { enableNamespacesByDefault: true } })), finds: [['IST0148 Namespace shop', 3, /enableNamespacesByDefault/]] },
  'labels that contradict each other': { yaml: namespace('{istio-injection: enabled, istio.io/rev: canary}'), finds: [['IST0123 Namespace shop', 3, /"istio-injection=enabled" and "istio\.io\/rev=canary"/]] },
  'with injection off a revision means nothing': { yaml: namespace('{istio-injection: disabled, istio.io/rev: canary}'), finds: [] },
  'ambient and a revision': { yaml: namespace('{istio.io/rev: canary, istio.io/dataplane-mode: ambient}'), finds: [['IST0123 Namespace shop', 3, /dataplane-mode=ambient/]] },
  'a pod without a sidecar': { yaml: documents(enabled, pod('{name: a, image: b}')), finds: [['IST0103 Pod cart.shop', 6, /shop\/cart/]] },
  'a pod with one': { yaml: documents(enabled, pod('{name: a, image: b}, {name: istio-proxy, image: c}')), finds: [] },
  'a pod with a native one': { yaml: documents(enabled, pod('{name: a, image: b}', 'labels: {}', ', initContainers: [{name: istio-proxy, image: c}]')), finds: [] },
  'a pod that wants none, by label': { yaml: documents(enabled, pod('{name: a, image: b}', "labels: {sidecar.istio.io/inject: 'false'}")), finds: [] },
  'a pod that wants none, by annotation': { yaml: documents(enabled, pod('{name: a, image: b}', "annotations: {sidecar.istio.io/inject: 'false'}")), finds: [] },
  'a pod on the host\'s network': { yaml: documents(enabled, pod('{name: a, image: b}', 'labels: {}', ', hostNetwork: true')), finds: [] },
});

const image = { global: { hub: 'hub', tag: '1.2', proxy: { image: 'proxyv2' } } };
const proxy = (name: string) => `{name: istio-proxy, image: ${name}}`;

cases(proxyImage, {
  'a sidecar of another version': { yaml: documents(enabled, injector(image), pod(proxy('hub/proxyv2:1.1'))), finds: [['IST0158 Namespace shop', 1, /"cart"/]] },
  'a sidecar of this version': { yaml: documents(enabled, injector(image), pod(proxy('hub/proxyv2:1.2'))), finds: [] },
  'an image with its own path': { yaml: documents(enabled, injector({ global: { proxy: { image: 'other/proxy:3' } } }), pod(proxy('other/proxy:3'))), finds: [] },
  'a sidecar chosen by the pod': { yaml: documents(enabled, injector(image), pod(proxy('mine'), 'annotations: {sidecar.istio.io/proxyImage: mine}')), finds: [] },
  'the image type of MeshConfig': { yaml: documents(enabled, injector(image), pod(proxy('hub/proxyv2:1.2-distroless'))), meshConfig: 'defaultConfig: {image: {imageType: distroless}}', finds: [] },
  'the image type of a ProxyConfig of the namespace': { yaml: documents(enabled, injector(image), pod(proxy('hub/proxyv2:1.2-debug')), object('networking.istio.io/v1beta1', 'ProxyConfig', '{name: a, namespace: shop}', 'spec: {image: {imageType: debug}}')), finds: [] },
  'the image type of the pod goes before': { yaml: documents(enabled, injector(image), pod(proxy('hub/proxyv2:1.2-debug'), "annotations: {proxy.istio.io/config: '{image: {imageType: debug}}'}")), meshConfig: 'defaultConfig: {image: {imageType: distroless}}', finds: [] },
  'the injector of a revision': { yaml: documents(namespace('{istio.io/rev: canary}'), injector(image, 'istio-sidecar-injector-canary'), pod(proxy('hub/proxyv2:1.1'))), finds: [['IST0158 Namespace shop', 1, /./]] },
  'a namespace that is not injected': { yaml: documents(namespace(), injector(image), pod(proxy('hub/proxyv2:1.1'))), finds: [] },
  'no injector to compare with': { yaml: documents(enabled, pod(proxy('hub/proxyv2:1.1'))), finds: [] },
});

const webhook = (selectors: string) => object('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', '{name: i}', `webhooks: [{name: a.sidecar-injector.istio.io, ${selectors}}]`);
const deployment = (labels: string) => object('apps/v1', 'Deployment', '{name: gate, namespace: shop}', `spec: {selector: {}, template: {metadata: {labels: ${labels}}, spec: {containers: [{name: istio-proxy, image: auto}]}}}`);
const byLabel = "objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: In, values: ['true']}]}";

cases(imageAuto, {
  'a pod nobody injected': { yaml: pod('{name: istio-proxy, image: auto}'), finds: [['IST0147 Pod cart.shop', 4, /Pod cart/]] },
  'a deployment no webhook selects': { yaml: documents(deployment('{}'), webhook(byLabel)), finds: [['IST0146 Deployment gate.shop', 4, /Deployment gate/]] },
  'a deployment a webhook selects by its label': { yaml: documents(deployment("{sidecar.istio.io/inject: 'true'}"), webhook(byLabel)), finds: [] },
  'a deployment a webhook selects by its namespace': { yaml: documents(deployment('{}'), enabled, webhook('namespaceSelector: {matchLabels: {istio-injection: enabled}}')), finds: [] },
  'a webhook with another operator': { yaml: documents(deployment('{}'), webhook('objectSelector: {matchExpressions: [{key: a, operator: Exists}, {key: b, operator: DoesNotExist}]}')), finds: [['IST0146 Deployment gate.shop', 4, /./]] },
  'an image of its own': { yaml: pod(proxy('hub/proxyv2:1.2')), finds: [] },
});
