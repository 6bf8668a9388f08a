import { xdsType } from '../resource-types.ts';
import type { Part } from './subscription.ts';

/** One step of a push. */
export interface PushStep {
  readonly typeUrl: string;
  readonly part: Part;
  /** Whether later steps wait until the client answered. */
  readonly wait: boolean;
}

/**
 * Make before break: what is pointed at arrives before what points at it, and leaves after. The whole list is walked from the top whenever
 * something happened; a step without differences is passed at once. Source: xDS protocol, "Eventual consistency considerations".
 */
export const pushOrder: readonly PushStep[] = [
  // New names only, at once: a client may hold back its ACK of a cluster until the cluster has endpoints.
  { typeUrl: xdsType.endpoint, part: 'new', wait: false },
  // New clusters before any route names them; old ones stay.
  { typeUrl: xdsType.cluster, part: 'changed', wait: true },
  // Endpoints of clusters that exist by now.
  { typeUrl: xdsType.endpoint, part: 'changed', wait: true },
  // New names only, now that their clusters are there: a client may hold back its ACK of a listener until the listener has routes.
  { typeUrl: xdsType.route, part: 'new', wait: false },
  // Listeners, which name routes and clusters.
  { typeUrl: xdsType.listener, part: 'all', wait: true },
  // Routes: from here on traffic follows the new clusters.
  { typeUrl: xdsType.route, part: 'all', wait: true },
  // Nothing points at these any more.
  { typeUrl: xdsType.cluster, part: 'removed', wait: true },
  { typeUrl: xdsType.endpoint, part: 'removed', wait: true },
];

const orderedTypes = new Set(pushOrder.map((step) => step.typeUrl));

/** True for types that depend on nothing (secrets, extension configs, name tables): sent at once. */
export function isUnordered(typeUrl: string): boolean {
  return !orderedTypes.has(typeUrl);
}
