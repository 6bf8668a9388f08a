import { existsSync } from 'node:fs';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { fail, ok, type Result } from '@meltemi/base';
import type { ApiSource } from '@meltemi/snapshot';
import { startAdsClient, type AdsClientOptions, type XdsTarget } from '@meltemi/xds-edge';
import type { PoolLog } from '../control/worker-pool.ts';
import type { Feed, FeedEvents, OpenFeed } from './feed.ts';
import { FileFeed } from './file-feed.ts';
import { xdsTargets, type XdsTargetOptions } from './xds-targets.ts';

export interface FeedOpenerOptions extends XdsTargetOptions {
  readonly node: Node;
  /** The server of `ads: {}`; null = none. */
  readonly ads: ApiSource | null;
  readonly log: PoolLog;
  /** Checks servers without dialling them. */
  readonly filesOnly?: boolean;
}

type ClientOptions = Omit<AdsClientOptions, 'onUpdate' | 'onConnected' | 'onDisconnected'>;

/** Opens files and xDS servers as a bootstrap and its resources name them. */
export function feedOpener(options: FeedOpenerOptions): OpenFeed {
  return (spec, typeUrl, events) => {
    switch (spec.kind) {
      case 'self':
        return fail('', '`self` names no source');
      case 'path':
        // As Envoy: a path that is not there at first is a mistake.
        return existsSync(spec.path) ? ok(new FileFeed({ path: spec.path, watchedDirectory: spec.watchedDirectory, typeUrl, events })) : fail('', `${spec.path} does not exist`);
      case 'ads':
        return options.ads ? serverFeed(options.ads, null, events, options) : fail('', '`ads` needs dynamic_resources.ads_config, which says where the server is');
      case 'api':
        return serverFeed(spec.api, typeUrl, events, options);
    }
  };
}

/** Opens the one aggregated stream of a mesh proxy; files too, nothing else. */
export function meshFeedOpener(client: ClientOptions, log: PoolLog): OpenFeed {
  const others = feedOpener({ node: client.node, ads: null, log, cluster: () => undefined, secret: () => undefined, allowPlaintext: false });
  return (spec, typeUrl, events) => (spec.kind === 'ads' ? ok(clientFeed(client, events, log)) : others(spec, typeUrl, events));
}

function serverFeed(api: ApiSource, onlyType: string | null, events: FeedEvents, options: FeedOpenerOptions): Result<Feed> {
  const targets = xdsTargets(api, options);
  if (!targets.ok) return targets;
  const [first, ...others] = targets.value;
  if (options.filesOnly) return ok(inert(first));
  const maxBytes = api.services.map((service) => (service.kind === 'cluster' ? service.maxReceiveBytes : null)).find((each) => each !== null);
  return ok(clientFeed({
    ...first, others, node: options.node, protocol: api.delta ? 'delta' : 'sotw', nodeInEveryRequest: !api.nodeOnFirstMessageOnly,
    ...(onlyType !== null && { onlyType }), ...(typeof maxBytes === 'number' && { maxResponseBytes: maxBytes }),
  }, events, options.log));
}

function clientFeed(client: ClientOptions, events: FeedEvents, log: PoolLog): Feed {
  const about = { address: client.address, ...(client.onlyType !== undefined && { type: client.onlyType }) };
  const ads = startAdsClient({
    ...client,
    onUpdate: (update) => events.onUpdate(update),
    onConnected: () => {
      log.info(about, 'connected to the control plane');
      events.onState(true);
    },
    onDisconnected: (reason) => {
      log.warn({ ...about, reason }, 'not connected to the control plane; the last configuration stays in force');
      events.onState(false);
    },
  });
  return {
    label: `xDS server ${client.address}`, stateOfTheWorld: client.protocol === 'sotw',
    subscribe: (typeUrl, names) => ads.subscribe(typeUrl, names), unsubscribe: (typeUrl, names) => ads.unsubscribe(typeUrl, names), stop: () => ads.stop(),
  };
}

function inert({ address }: XdsTarget): Feed {
  return { label: `xDS server ${address}`, stateOfTheWorld: false, subscribe: () => {}, unsubscribe: () => {}, stop: () => Promise.resolve() };
}
