import type { ObjectMeta } from '../../../object.ts';
import type { LabelSelector } from '../../types.ts';
import type { PodSpec } from '../pod/types.ts';

/** What Meltemi reads of a Kubernetes Deployment. */
export interface DeploymentSpec {
  /** Default 1. */
  readonly replicas: number;
  readonly selector: LabelSelector;
  readonly template: PodTemplate;
}

export interface PodTemplate {
  readonly meta: Pick<ObjectMeta, 'labels' | 'annotations'>;
  readonly spec: Omit<PodSpec, 'status'>;
}
