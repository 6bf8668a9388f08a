import type { Config } from '@meltemi/config';

/** Annotation of a WorkloadEntry whose proxy tells how its application is. Istio's. */
export const healthChecked = 'proxy.istio.io/health-checks-enabled';

/** The condition that says it. Istio's. */
const condition = 'Healthy';

/** False for a WorkloadEntry whose health is checked while nobody has found it healthy. Source: Istio's serviceentry conversion. */
export function isHealthyEntry({ meta, status }: Pick<Config, 'meta' | 'status'>): boolean {
  if (meta.annotations[healthChecked]?.toLowerCase() !== 'true') return true;
  const conditions: unknown = status?.['conditions'];
  return Array.isArray(conditions) && conditions.some((each: unknown) => typeof each === 'object' && each !== null && (each as Condition).type === condition && (each as Condition).status === 'True');
}

/** The status of an entry whose health was told; `unhealthy` says why it is not. */
export function healthStatus(unhealthy: string | undefined, at: string): Readonly<Record<string, unknown>> {
  return { conditions: [{ type: condition, status: unhealthy === undefined ? 'True' : 'False', ...(unhealthy === undefined ? {} : { message: unhealthy }), lastProbeTime: at, lastTransitionTime: at }] };
}

interface Condition {
  readonly type?: unknown;
  readonly status?: unknown;
}
