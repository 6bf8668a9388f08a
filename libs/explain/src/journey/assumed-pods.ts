import type { Config, DeploymentSpec, KubeServiceSpec, PodSpec } from '@meltemi/config';
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
  let count = 0;
  const configs = mesh.configs.flatMap((config): Config[] => {
    if (config.key.group === '' && config.key.kind === 'Service') return [withAddress(config as Config<KubeServiceSpec>, () => address(++count))];
    if (config.key.group !== 'apps' || config.key.kind !== 'Deployment') return [config];
    const { spec } = config as Config<DeploymentSpec>;
    return has(config.meta.namespace, spec.selector.matchLabels) ? [config] : [config, podOf(config as Config<DeploymentSpec>, address(++count))];
  });
  return { ...mesh, configs };
}

function podOf({ meta, spec }: Config<DeploymentSpec>, ip: string): Config<PodSpec> {
  const { template } = spec;
  const name = `${meta.name}-assumed`;
  // members of the mesh unless they say otherwise
  const labels = { 'security.istio.io/tlsMode': 'istio', ...template.meta.labels };
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
