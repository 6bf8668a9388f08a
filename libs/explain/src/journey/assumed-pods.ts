import { selects, type Config, type DeploymentSpec, type GatewaySpec, type KubeGatewaySpec, type KubeServiceSpec, type PodSpec } from '@meltemi/config';
import type { LoadedMesh } from '../load.ts';

/** For benchmarks of networks (RFC 2544): addresses that no real workload has. */
const address = (i: number) => `198.18.${i >> 8}.${i & 255}`;

/**
 * A directory of YAML has Deployments but no Pods. One Pod is assumed for each Deployment without any, so that there are endpoints to go to and servers to ask;
 * and an address for each Service that has none written down.
 */
export function withAssumedPods(mesh: LoadedMesh): LoadedMesh {
  const pods = mesh.configs.filter(({ key }) => key.group === '' && key.kind === 'Pod');
  const has = (namespace: string, labels: Readonly<Record<string, string>>) => pods.some(({ meta }) => meta.namespace === namespace && Object.entries(labels).every(([key, value]) => meta.labels[key] === value));
  const isGateway = gatewayTest(mesh.configs);
  let count = 0;
  const configs = mesh.configs.flatMap((config): Config[] => {
    if (config.key.group === '' && config.key.kind === 'Service') return [withAddress(config as Config<KubeServiceSpec>, () => address(++count))];
    if (config.key.group !== 'apps' || config.key.kind !== 'Deployment') return [config];
    const { spec } = config as Config<DeploymentSpec>;
    return has(config.meta.namespace, spec.selector.matchLabels) ? [config] : [config, podOf(config as Config<DeploymentSpec>, { ip: address(++count), isGateway })];
  });
  return { ...mesh, configs };
}

type LabelTest = (namespace: string, labels: Readonly<Record<string, string>>) => boolean;

/** Whether pods of these labels serve a Gateway: one that selects them, that they name, or whose Service they are behind. */
function gatewayTest(configs: readonly Config[]): LabelTest {
  const of = <Spec>(group: string, kind: string) => configs.filter(({ key }) => key.group === group && key.kind === kind) as Config<Spec>[];
  const selectors = of<GatewaySpec>('networking.istio.io', 'Gateway').map(({ spec }) => spec.selector).filter((selector) => Object.keys(selector).length > 0);
  const named = new Set(of<KubeGatewaySpec>(gatewayApi, 'Gateway').flatMap(({ meta, spec }) => spec.addresses.map(({ value }) => `${meta.namespace}/${value.split('.')[0] ?? ''}`)));
  const fronts = of<KubeServiceSpec>('', 'Service').filter(({ meta, spec }) => named.has(`${meta.namespace}/${meta.name}`) && Object.keys(spec.selector).length > 0);
  return (namespace, labels) =>
    labels[`${gatewayApi}/gateway-name`] !== undefined ||
    selectors.some((selector) => selects(selector, labels)) ||
    fronts.some((front) => front.meta.namespace === namespace && selects(front.spec.selector, labels));
}

const gatewayApi = 'gateway.networking.k8s.io';

function podOf({ meta, spec }: Config<DeploymentSpec>, { ip, isGateway }: { readonly ip: string; readonly isGateway: LabelTest }): Config<PodSpec> {
  const { template } = spec;
  const name = `${meta.name}-assumed`;
  const own = template.meta.labels;
  // members of the mesh unless they say otherwise; gateways take what their servers say, and Istio's injector gives them no such label
  const inMesh = own['sidecar.istio.io/inject'] !== 'false' && !isGateway(meta.namespace, own);
  const labels = { ...(inMesh ? { 'security.istio.io/tlsMode': 'istio' } : {}), ...own };
  return {
    key: { group: '', kind: 'Pod', namespace: meta.namespace, name }, apiVersion: 'v1',
    meta: { name, namespace: meta.namespace, labels, annotations: template.meta.annotations, creationTimestamp: meta.creationTimestamp },
    spec: { ...template.spec, status: { phase: 'Running', podIP: ip, podIPs: [ip], ready: true } },
  };
}

function withAddress(config: Config<KubeServiceSpec>, next: () => string): Config<KubeServiceSpec> {
  const { spec } = config;
  if (spec.clusterIP !== '' || spec.type === 'ExternalName') return config;
  const ip = next();
  return { ...config, spec: { ...spec, clusterIP: ip, clusterIPs: [ip] } };
}
