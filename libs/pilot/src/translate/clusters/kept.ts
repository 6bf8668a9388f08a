import type { XdsResource } from '@meltemi/xds';
import type { DestinationRule } from '../../push-context/destination-rules.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { serviceKey, type Service } from '../../registry/model.ts';
import { clientView } from '../views.ts';
import { destinationRuleOf } from './outbound.ts';

/** All that the clusters of a service are made from, besides the service and the client's view. */
interface Source extends Pick<PushContext, 'mesh' | 'features' | 'peerAuthentications'> {
  readonly rule: DestinationRule | undefined;
  readonly accounts: string;
}

interface Kept {
  readonly source: Source;
  readonly made: readonly XdsResource[];
}

/** By service, then by kind of client and by the rule in force for it. */
const kept = new WeakMap<Service, Map<string, Kept>>();
/** More of these than this take turns. */
const maxViews = 256;

/**
 * The clusters of `service` as `make` makes them, the last ones when nothing that they read has changed: a new DestinationRule makes only the clusters of
 * its own host anew, and clients of all namespaces share those of one rule. Services whose clusters hold endpoints themselves are made every time.
 */
export function keptClusters(push: PushContext, proxy: Proxy, service: Service, make: (rule: DestinationRule | undefined) => readonly XdsResource[]): readonly XdsResource[] {
  const key = serviceKey(service);
  const rule = destinationRuleOf(push, proxy, service);
  if (push.services.inline.has(key)) return make(rule);
  const { mesh, features, peerAuthentications } = push;
  const source: Source = { mesh, features, peerAuthentications, rule, accounts: String(push.services.accounts.get(key)) };
  const views = kept.get(service) ?? new Map<string, Kept>();
  kept.set(service, views);
  const view = `${clientView(push, proxy)} ${rule ? `${rule.namespace}/${rule.name}` : ''}`;
  const last = views.get(view);
  if (last && same(last.source, source)) return last.made;
  const made = make(rule);
  views.delete(view);
  for (const oldest of views.keys()) {
    if (views.size < maxViews) break;
    views.delete(oldest);
  }
  views.set(view, { source, made });
  return made;
}

function same(a: Source, b: Source): boolean {
  return a.rule === b.rule && a.mesh === b.mesh && a.features === b.features && a.peerAuthentications === b.peerAuthentications && a.accounts === b.accounts;
}
