import type { ParentReference } from '@meltemi/config';
import { condition, type Condition } from '../conditions.ts';
import { controllers } from '../names.ts';
import type { RouteParent } from '../parents.ts';
import type { Problem } from '../problem.ts';
import type { ConvertedRoute } from '../routes.ts';

export interface RouteStatus {
  readonly parents: readonly RouteParentStatus[];
}

export interface RouteParentStatus {
  readonly parentRef: ParentReference;
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

/** Of a route of any kind: one entry per reference that is ours, in their order. */
export function routeStatus({ parents, problems }: ConvertedRoute): RouteStatus {
  const byReference = new Map<ParentReference, RouteParent[]>();
  for (const parent of parents) byReference.set(parent.reference, [...(byReference.get(parent.reference) ?? []), parent]);
  return {
    parents: [...byReference].map(([parentRef, group]) => {
      const bound = group.filter(({ denied }) => !denied).length;
      const problem = group.some(({ gateway }) => gateway === 'mesh') ? problems.mesh : problems.gateway;
      return {
        parentRef,
        controllerName: controllers.gateway,
        conditions: [
          condition({ type: 'Accepted', reason: 'Accepted', message: bound > 1 ? `Route was valid, bound to ${bound} parents` : 'Route was valid' }, bound > 0 ? undefined : whyNot(group)),
          condition({ type: 'ResolvedRefs', reason: 'ResolvedRefs', message: 'All references resolved' }, problem),
        ],
      };
    }),
  };
}

/** Reasons from the one nearest to being bound to the farthest. */
const nearest: readonly string[] = ['NotAllowedByListeners', 'NoMatchingListenerHostname', 'NoMatchingParent'];

/** No listener took the route: the nearest miss says why. */
function whyNot(group: readonly RouteParent[]): Problem {
  const reasons = group.flatMap(({ denied }) => (denied ? [denied] : [])).toSorted((a, b) => nearest.indexOf(a.reason) - nearest.indexOf(b.reason));
  const [first] = reasons;
  if (!first) return { reason: 'NoMatchingParent', message: 'no listener' };
  return { reason: first.reason, message: [...new Set(reasons.filter(({ reason }) => reason === first.reason).map(({ message }) => message))].join('; ') };
}
