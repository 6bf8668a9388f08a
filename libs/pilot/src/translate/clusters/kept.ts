import type { XdsResource } from '@meltemi/xds';
import type { DestinationRule } from '../../push-context/destination-rules.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { serviceKey, type Service } from '../../registry/model.ts';
import { viewOf } from '../views.ts';
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

const kept = new WeakMap<Service, Map<number, Kept>>();
/** More kinds of clients than this take turns. */
const maxViews = 256;

/**
 * The clusters of `service` as `make` makes them, the last ones when nothing that they read has changed: a new DestinationRule makes only the clusters of
 * its own host anew. Services whose clusters hold endpoints themselves are made every time.
 */
export function keptClusters(push: PushContext, proxy: Proxy, service: Service, make: () => readonly XdsResource[]): readonly XdsResource[] {
  const key = serviceKey(service);
  if (push.services.inline.has(key)) return make();
  const { mesh, features, peerAuthentications } = push;
  const source: Source = { mesh, features, peerAuthentications, rule: destinationRuleOf(push, proxy, service), accounts: String(push.services.accounts.get(key)) };
  const views = kept.get(service) ?? new Map<number, Kept>();
  kept.set(service, views);
  const view = viewOf(push, proxy);
  const last = views.get(view);
  if (last && same(last.source, source)) return last.made;
  const made = make();
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
