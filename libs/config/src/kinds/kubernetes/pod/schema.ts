import { list } from '../../../schema/containers.ts';
import { bool, int, string } from '../../../schema/scalars.ts';
import { mapped, required } from '../../../schema/schema.ts';
import { kubeObject } from '../kube-kind.ts';
import type { ContainerPort, PodContainer, PodSpec, PodStatus } from './types.ts';

interface WrittenPodSpec extends Omit<PodSpec, 'status'> {
  /** The old name of serviceAccountName. */
  readonly serviceAccount: string;
}

interface WrittenStatus {
  readonly phase: string;
  readonly podIP: string;
  readonly podIPs: readonly { readonly ip: string }[];
  readonly conditions: readonly { readonly type: string; readonly status: string }[];
}

const container = kubeObject<PodContainer>({
  name: required(string()),
  image: string(),
  ports: list(kubeObject<ContainerPort>({ name: string(), containerPort: required(int('int32', { min: 1, max: 65535 })), protocol: string() })),
});

/** The spec of a Pod, or of a Deployment's template. Nothing here runs containers: a Pod written down without them is used for where and who it is. */
export const podSpec = mapped(
  kubeObject<WrittenPodSpec>({
    serviceAccountName: string(),
    serviceAccount: string(),
    nodeName: string(),
    hostname: string(),
    subdomain: string(),
    hostNetwork: bool(),
    containers: list(container),
  }),
  ({ serviceAccount, ...spec }): Omit<PodSpec, 'status'> => ({ ...spec, serviceAccountName: spec.serviceAccountName || serviceAccount || 'default' }),
);

export const podStatus = mapped(
  kubeObject<WrittenStatus>({
    phase: string(),
    podIP: string(),
    podIPs: list(kubeObject<{ readonly ip: string }>({ ip: string() })),
    conditions: list(kubeObject<{ readonly type: string; readonly status: string }>({ type: string(), status: string() })),
  }),
  (status): PodStatus => {
    const ready = status.conditions.find((condition) => condition.type === 'Ready');
    const podIPs = status.podIPs.length > 0 ? status.podIPs.map((one) => one.ip) : status.podIP === '' ? [] : [status.podIP];
    return { phase: status.phase, podIP: status.podIP, podIPs, ready: ready === undefined || ready.status === 'True' };
  },
);
