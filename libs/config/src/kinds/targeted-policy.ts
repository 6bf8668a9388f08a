import type { Findings } from '../rules/findings.ts';
import { checkSelector } from '../rules/labels.ts';
import { list, object } from '../schema/containers.ts';
import { string } from '../schema/scalars.ts';
import { item, optional, required } from '../schema/schema.ts';
import { matchLabelsSelector } from './schema.ts';
import type { MatchLabelsSelector } from './types.ts';

/** type/v1beta1 PolicyTargetReference. `group` "" (or "core") is Kubernetes' own. */
export interface TargetReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}

/** How a policy says whom it is for: workloads by label, or objects by reference; at most one of the three is set. */
export interface TargetedPolicy {
  readonly selector?: MatchLabelsSelector;
  /** The older form of one reference. */
  readonly targetRef?: TargetReference;
  readonly targetRefs: readonly TargetReference[];
}

const targetReference = object<TargetReference>({
  group: string({ maxLength: 253 }),
  kind: required(string({ minLength: 1, maxLength: 63 })),
  name: required(string({ minLength: 1, maxLength: 253 })),
  namespace: string(),
});

/** The fields of TargetedPolicy, to spread into a kind's schema. */
export const targetFields = {
  selector: optional(matchLabelsSelector),
  targetRef: optional(targetReference),
  targetRefs: list(targetReference, { maxItems: 16 }),
};

const targetKinds = ['core/Service', 'networking.istio.io/ServiceEntry', 'gateway.networking.k8s.io/Gateway', 'gateway.networking.k8s.io/GatewayClass'];

/** Checks `spec.selector`, `spec.targetRef` and `spec.targetRefs`. */
export function checkTargets(spec: TargetedPolicy, findings: Findings): void {
  const set = [spec.selector, spec.targetRef, spec.targetRefs.length > 0 ? spec.targetRefs : undefined].filter((one) => one !== undefined);
  if (set.length > 1) findings.error('spec', 'only one of selector, targetRef and targetRefs may be set');
  checkSelector(spec.selector?.matchLabels, 'spec.selector.matchLabels', findings);
  if (spec.targetRef) checkTarget(spec.targetRef, 'spec.targetRef', findings);
  for (const [i, reference] of spec.targetRefs.entries()) checkTarget(reference, item('spec.targetRefs', i), findings);
}

function checkTarget({ group, kind, namespace }: TargetReference, path: string, findings: Findings): void {
  if (namespace !== '') findings.error(`${path}.namespace`, 'must not be set: a policy attaches to objects of its own namespace');
  const name = `${group === '' ? 'core' : group}/${kind}`;
  if (!targetKinds.includes(name)) findings.error(`${path}.kind`, `"${name}" cannot be a target: use one of ${targetKinds.join(', ')}`);
}
