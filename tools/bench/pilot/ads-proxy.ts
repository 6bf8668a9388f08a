import { credentials } from '@grpc/grpc-js';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { HttpConnectionManager } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { xdsType } from '@meltemi/xds';
import { startAdsClient, type AdsClient, type AdsUpdate } from '@meltemi/xds-edge';
import type { Names } from './light-client.ts';
import { namespaceOf } from './mesh-files.ts';

/** An xDS client that asks for what a sidecar asks for, and keeps nothing but names. */
export class AdsProxy {
  readonly #client: AdsClient;
  readonly #wanted = { [xdsType.endpoint]: new Set<string>(), [xdsType.route]: new Set<string>() };
  readonly #got = new Map<string, Set<string>>();
  #resourceBytes = 0;

  /** Connects in plaintext to 127.0.0.1:port. */
  constructor(port: number, node: Node) {
    this.#client = startAdsClient({ address: `127.0.0.1:${port}`, credentials: () => credentials.createInsecure(), node, onUpdate: (update) => this.#update(update) });
    this.#client.subscribe(xdsType.cluster, '*');
    this.#client.subscribe(xdsType.listener, '*');
  }

  /** Everything it asked for has come. */
  get served(): boolean {
    const all = (type: typeof xdsType.endpoint | typeof xdsType.route) => [...this.#wanted[type]].every((name) => this.#got.get(type)?.has(name));
    return this.count(xdsType.cluster) > 0 && this.count(xdsType.listener) > 0 && all(xdsType.endpoint) && all(xdsType.route);
  }

  /** Bytes of all resources so far, without framing. */
  get resourceBytes(): number {
    return this.#resourceBytes;
  }

  count(type: string): number {
    return this.#got.get(type)?.size ?? 0;
  }

  /** What it asked for by name. */
  get names(): Names {
    return { endpoints: [...this.#wanted[xdsType.endpoint]], routes: [...this.#wanted[xdsType.route]] };
  }

  stop(): Promise<void> {
    return this.#client.stop();
  }

  #update(update: AdsUpdate): void {
    const got = this.#got.get(update.typeUrl) ?? new Set<string>();
    this.#got.set(update.typeUrl, got);
    for (const { name, any } of update.added) {
      got.add(name);
      this.#resourceBytes += any.value.length;
    }
    for (const name of update.removed) got.delete(name);
    this.#follow(update);
    update.accept();
  }

  #follow({ typeUrl, added }: AdsUpdate): void {
    if (typeUrl === xdsType.cluster) this.#ask(xdsType.endpoint, added.map(({ any }) => endpointName(Cluster.decode(any.value))));
    else if (typeUrl === xdsType.listener) this.#ask(xdsType.route, added.flatMap(({ any }) => routeNames(Listener.decode(any.value))));
  }

  #ask(type: typeof xdsType.endpoint | typeof xdsType.route, names: readonly (string | undefined)[]): void {
    const fresh = names.filter((name) => name !== undefined).filter((name) => !this.#wanted[type].has(name));
    if (fresh.length === 0) return;
    for (const name of fresh) this.#wanted[type].add(name);
    this.#client.subscribe(type, fresh);
  }
}

function endpointName(cluster: Cluster): string | undefined {
  return cluster.edsClusterConfig ? cluster.edsClusterConfig.serviceName || cluster.name : undefined;
}

function routeNames(listener: Listener): string[] {
  const filters = listener.filterChains.flatMap((chain) => chain.filters);
  return filters.flatMap(({ configType }) => {
    if (configType?.$case !== 'typedConfig' || !configType.value.typeUrl.endsWith('.HttpConnectionManager')) return [];
    const manager = HttpConnectionManager.decode(configType.value.value);
    return manager.routeSpecifier?.$case === 'rds' ? [manager.routeSpecifier.value.routeConfigName] : [];
  });
}

/** Pod `index` of a service nobody calls, in one of so many namespaces. */
export function nodeOf(index: number, namespaces: number): Node {
  const namespace = namespaceOf(index, namespaces);
  const name = `caller-${index}`;
  return {
    id: `sidecar~10.250.${index >> 8}.${index & 255}~${name}.${namespace}~${namespace}.svc.cluster.local`, cluster: `${name}.${namespace}`,
    metadata: { NAMESPACE: namespace, NAME: name, SERVICE_ACCOUNT: 'caller', LABELS: { app: 'caller' }, CLUSTER_ID: 'Kubernetes', MELTEMI_VERSION: '0.1.0' },
    dynamicParameters: {}, locality: undefined, userAgentName: 'meltemi-proxy', userAgentVersionType: { $case: 'userAgentVersion', value: '0.1.0' },
    extensions: [], clientFeatures: [], listeningAddresses: [],
  };
}
