import type { BackendObjectReference, Config, PolicyTargetReference } from '@meltemi/config';
import { gatewayApiGroup } from '@meltemi/config';
import type { PushContext } from '../../push-context/push-context.ts';
import { ignoredAnnotation, type ConvertedPolicy } from '../backend-tls.ts';
import { condition, type Condition } from '../conditions.ts';
import { controllers } from '../names.ts';
import type { Problem } from '../problem.ts';

export interface PolicyStatus {
  readonly ancestors: readonly {
    readonly ancestorRef: { readonly group: string; readonly kind: string; readonly name: string; readonly namespace?: string; readonly sectionName?: string };
    readonly controllerName: string;
    readonly conditions: readonly Condition[];
  }[];
}

/** Of a BackendTLSPolicy: per target, for the mesh, and per Gateway that sends requests to one of them. */
export function policyStatus(push: PushContext, { config, targets, unresolved, ignored }: ConvertedPolicy): PolicyStatus {
  if (ignored) return { ancestors: targets.map(({ reference }) => ({ ancestorRef: reference, controllerName: controllers.mesh, conditions: [condition({ type: 'Accepted', reason: 'Accepted', message: '' }, ignoredHere)] })) };
  const untrusted: Problem | undefined = unresolved && { reason: 'NoValidCACertificate', message: unresolved.message };
  const conditions = (problem: Problem | undefined): Condition[] => [
    condition({ type: 'Accepted', reason: 'Accepted', message: 'Configuration is valid' }, problem ?? untrusted),
    condition({ type: 'ResolvedRefs', reason: 'ResolvedRefs', message: 'Configuration is valid' }, unresolved),
  ];
  const own = targets.map(({ reference, problem }) => ({ ancestorRef: reference, controllerName: controllers.mesh, conditions: conditions(problem) }));
  const reached = targets.filter(({ problem }) => !problem).map(({ reference }) => reference);
  const gateways = gatewaysTo(push, reached, config.meta.namespace).map((gateway) => ({
    ancestorRef: { group: gatewayApiGroup, kind: 'Gateway', name: gateway.meta.name, namespace: gateway.meta.namespace },
    controllerName: controllers.gateway,
    conditions: conditions(targets.find(({ problem }) => problem)?.problem),
  }));
  return { ancestors: [...own, ...gateways].slice(0, maxAncestors) };
}

const ignoredHere: Problem = { reason: 'IgnoredByIstio', message: `Ignored because of the annotation ${ignoredAnnotation}` };

/** The API's limit. */
const maxAncestors = 16;

/** Gateways with a route to one of the targets. */
function gatewaysTo(push: PushContext, targets: readonly PolicyTargetReference[], namespace: string): Config[] {
  const found = new Set<Config>();
  for (const { config, parents } of push.gatewayApi.outcome.routes) {
    const backends = (config.spec as { readonly rules: readonly { readonly backendRefs: readonly BackendObjectReference[] }[] }).rules.flatMap(({ backendRefs }) => backendRefs);
    const uses = backends.some((backend) => (backend.namespace ?? config.meta.namespace) === namespace && targets.some(({ group, kind, name }) => backend.group === group && backend.kind === kind && backend.name === name));
    if (uses) for (const { denied, listener } of parents) if (!denied && listener?.owner.key.kind === 'Gateway') found.add(listener.owner);
  }
  return [...found];
}
