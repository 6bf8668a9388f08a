import { readFileSync } from 'node:fs';
import { binaryToJson, typeNameOf } from '@meltemi/api';
import { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { formatFieldErrors } from '@meltemi/base';
import { decode, defaultMeshConfig, parseYamlDocuments, type Config, type MeshConfigSpec } from '@meltemi/config';
import type { ResourceSet } from '@meltemi/xds';
import type { Features } from '../features.ts';
import { buildPushContext, type PushContext } from '../push-context/push-context.ts';
import { proxyFromNode, type Proxy } from '../proxy/proxy.ts';
import { create } from '../translate/message.ts';

const samples = new URL('../../../../deploy/samples/', import.meta.url);

/** Objects of YAML text, decoded as pilot does; what is invalid throws, for a test's fixture must be valid. */
export function configsOf(yaml: string): Config[] {
  return parseYamlDocuments(yaml, 'fixture.yaml').documents.map(({ raw, errors }) => {
    if (!raw) throw new Error(formatFieldErrors(errors));
    const decoded = decode(raw);
    if (!decoded.ok) throw new Error(`${raw.key.kind} ${raw.key.name}: ${formatFieldErrors(decoded.error)}`);
    return decoded.value.config;
  });
}

/** Objects of a file below deploy/samples. */
export function sample(path: string): Config[] {
  return configsOf(readFileSync(new URL(path, samples), 'utf8'));
}

/** A running Pod with the labels Bookinfo's Deployments give. */
export function podYaml(name: string, ip: string, options: { readonly labels: Readonly<Record<string, string>>; readonly account?: string; readonly ready?: boolean; readonly namespace?: string }): string {
  const labels = Object.entries({ 'security.istio.io/tlsMode': 'istio', ...options.labels }).map(([key, value]) => `    ${key}: "${value}"`);
  const ready = options.ready === false ? 'False' : 'True';
  return [
    'apiVersion: v1', 'kind: Pod', 'metadata:', `  name: ${name}`, `  namespace: ${options.namespace ?? 'default'}`, '  labels:', ...labels,
    'spec:', `  serviceAccountName: ${options.account ?? 'default'}`, '  containers:', '  - name: app', '    image: app',
    'status:', '  phase: Running', `  podIP: ${ip}`, '  podIPs:', `  - ip: ${ip}`, '  conditions:', '  - type: Ready', `    status: "${ready}"`, '---', '',
  ].join('\n');
}

/** Bookinfo with a Pod for each Deployment, and an ingress gateway. */
export function bookinfo(): Config[] {
  const pods = [
    podYaml('productpage-v1-0', '10.0.0.1', { labels: { app: 'productpage', version: 'v1' }, account: 'bookinfo-productpage' }),
    podYaml('details-v1-0', '10.0.0.2', { labels: { app: 'details', version: 'v1' }, account: 'bookinfo-details' }),
    podYaml('reviews-v1-0', '10.0.0.3', { labels: { app: 'reviews', version: 'v1' }, account: 'bookinfo-reviews' }),
    podYaml('reviews-v2-0', '10.0.0.4', { labels: { app: 'reviews', version: 'v2' }, account: 'bookinfo-reviews' }),
    podYaml('reviews-v3-0', '10.0.0.5', { labels: { app: 'reviews', version: 'v3' }, account: 'bookinfo-reviews' }),
    podYaml('ratings-v1-0', '10.0.0.6', { labels: { app: 'ratings', version: 'v1' }, account: 'bookinfo-ratings' }),
    podYaml('istio-ingressgateway-0', '10.0.0.9', { labels: { app: 'istio-ingressgateway', istio: 'ingressgateway' }, namespace: 'istio-system' }),
  ];
  return [...sample('bookinfo/platform/bookinfo.yaml'), ...configsOf(`${pods.join('')}${gatewayService}`)];
}

const gatewayService = `
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  ports:
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
  - {name: tcp, port: 31400}
  selector: {istio: ingressgateway}
`;

export function meshOf(configs: readonly Config[], mesh: Partial<MeshConfigSpec> = {}, previous?: PushContext, features?: Features): PushContext {
  return buildPushContext({ configs, meshConfig: { ...defaultMeshConfig(), ...mesh }, previous, ...(features ? { features } : {}) });
}

/** A proxy from id and metadata, as its Node says. */
export function proxyOf(id: string, metadata: Readonly<Record<string, unknown>> = {}): Proxy {
  const proxy = proxyFromNode(create(Node, { id, metadata: { ISTIO_VERSION: '1.30.0', ...metadata } }));
  if (!proxy.ok) throw new Error(formatFieldErrors(proxy.error));
  return proxy.value;
}

/** productpage's sidecar, intercepting. */
export function productpage(metadata: Readonly<Record<string, unknown>> = {}): Proxy {
  return proxyOf('sidecar~10.0.0.1~productpage-v1-0.default~default.svc.cluster.local', { NAMESPACE: 'default', LABELS: { app: 'productpage', version: 'v1' }, ...metadata });
}

export function ingressGateway(): Proxy {
  return proxyOf('router~10.0.0.9~istio-ingressgateway-0.istio-system~istio-system.svc.cluster.local', { NAMESPACE: 'istio-system', LABELS: { app: 'istio-ingressgateway', istio: 'ingressgateway' } });
}

/** Resources as Envoy's JSON, by name. */
export function jsonOf(set: ResourceSet): Record<string, unknown> {
  const named = [...set.resources.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return Object.fromEntries(named.map(({ name, any }) => [name, binaryToJson(typeNameOf(any.typeUrl), any.value)]));
}
