import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { jsonToBinary, typeNameOf } from '@meltemi/api';
import { ClusterDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/cluster/v3/cds.ts';
import { AggregatedDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/discovery/v3/ads.ts';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { EndpointDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/endpoint/v3/eds.ts';
import { ExtensionConfigDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/extension/v3/config_discovery.ts';
import { ListenerDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/listener/v3/lds.ts';
import { RouteDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/route/v3/rds.ts';
import { ScopedRoutesDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/route/v3/srds.ts';
import { SecretDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/secret/v3/sds.ts';
import { xdsType } from '@meltemi/xds';
import type { Json } from './bootstrap.ts';

/** Resources of one type, by name. */
export interface TypeSnapshot {
  readonly version: string;
  readonly resources: Readonly<Record<string, Json>>;
}

/** By type URL. */
export type Snapshot = Readonly<Record<string, TypeSnapshot>>;

/** One request as it came, for assertions. */
export interface Asked {
  readonly via: 'ads' | 'separate';
  readonly protocol: 'sotw' | 'delta';
  readonly typeUrl: string;
  readonly nodeId: string;
  readonly names: readonly string[];
  readonly version: string;
  readonly nonce: string;
  readonly initialVersions: Readonly<Record<string, string>>;
  readonly error: string;
}

interface Watch {
  readonly answer: () => void;
}

type SotwCall = ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>;
type DeltaCall = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

/**
 * An xDS server after go-control-plane's: a cache of snapshots by node id, both protocols, aggregated and a service per type. It knows
 * nothing of our own server's code.
 */
export class SnapshotServer {
  readonly asked: Asked[] = [];
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #watches = new Set<Watch>();
  readonly #credentials: ServerCredentials;
  #server = new Server();
  #nonces = 0;
  port = 0;

  constructor(credentials = ServerCredentials.createInsecure()) {
    this.#credentials = credentials;
  }

  /** On the same port again after a stop. */
  async start(): Promise<this> {
    const server = new Server();
    const via = (protocol: 'sotw' | 'delta', where: Asked['via'], typeUrl: string) => (call: SotwCall | DeltaCall) => (protocol === 'sotw' ? this.#sotw(call as SotwCall, where, typeUrl) : this.#delta(call as DeltaCall, where, typeUrl));
    server.addService(AggregatedDiscoveryServiceService, { streamAggregatedResources: via('sotw', 'ads', ''), deltaAggregatedResources: via('delta', 'ads', '') });
    server.addService(ListenerDiscoveryServiceService, { streamListeners: via('sotw', 'separate', xdsType.listener), deltaListeners: via('delta', 'separate', xdsType.listener), fetchListeners: unary });
    server.addService(ClusterDiscoveryServiceService, { streamClusters: via('sotw', 'separate', xdsType.cluster), deltaClusters: via('delta', 'separate', xdsType.cluster), fetchClusters: unary });
    server.addService(EndpointDiscoveryServiceService, { streamEndpoints: via('sotw', 'separate', xdsType.endpoint), deltaEndpoints: via('delta', 'separate', xdsType.endpoint), fetchEndpoints: unary });
    server.addService(RouteDiscoveryServiceService, { streamRoutes: via('sotw', 'separate', xdsType.route), deltaRoutes: via('delta', 'separate', xdsType.route), fetchRoutes: unary });
    server.addService(ScopedRoutesDiscoveryServiceService, { streamScopedRoutes: via('sotw', 'separate', xdsType.scope), deltaScopedRoutes: via('delta', 'separate', xdsType.scope), fetchScopedRoutes: unary });
    server.addService(ExtensionConfigDiscoveryServiceService, { streamExtensionConfigs: via('sotw', 'separate', xdsType.extension), deltaExtensionConfigs: via('delta', 'separate', xdsType.extension), fetchExtensionConfigs: unary });
    server.addService(SecretDiscoveryServiceService, { streamSecrets: via('sotw', 'separate', xdsType.secret), deltaSecrets: via('delta', 'separate', xdsType.secret), fetchSecrets: unary });
    this.port = await new Promise<number>((resolve, reject) => server.bindAsync(`127.0.0.1:${this.port}`, this.#credentials, (error, port) => (error ? reject(error) : resolve(port))));
    this.#server = server;
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
    this.#watches.clear();
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  set(nodeId: string, snapshot: Snapshot): void {
    this.#snapshots.set(nodeId, snapshot);
    for (const watch of this.#watches) watch.answer();
  }

  /** The last request of a type that answers a response. */
  lastAnswer(typeUrl: string): Asked | undefined {
    return this.asked.findLast((each) => each.typeUrl === typeUrl && each.nonce !== '');
  }

  #note(request: Asked): void {
    this.asked.push(request);
  }

  #sotw(call: SotwCall, via: Asked['via'], only: string): void {
    const types = new Map<string, { request: DiscoveryRequest; sent: string }>();
    let nodeId = '';
    const watch: Watch = { answer: () => { for (const typeUrl of order) respond(typeUrl); } };
    const respond = (typeUrl: string) => {
      const state = types.get(typeUrl);
      const snapshot = this.#snapshots.get(nodeId)?.[typeUrl];
      if (!state || !snapshot) return;
      const names = state.request.resourceNames;
      const wanted = Object.entries(snapshot.resources).filter(([name]) => names.length === 0 || names.includes(name));
      const key = `${snapshot.version} ${names.toSorted().join()}`;
      // A refused version is not sent again; changed names are answered.
      if (state.sent === key || (state.sent === '' && state.request.versionInfo === snapshot.version && names.length === 0)) return;
      state.sent = key;
      call.write({ versionInfo: snapshot.version, resources: wanted.map(([, json]) => anyOf(typeUrl, json)), canary: false, typeUrl, nonce: String(++this.#nonces), controlPlane: undefined });
    };
    call.on('data', (request: DiscoveryRequest) => {
      const typeUrl = only || request.typeUrl;
      nodeId = request.node?.id ?? nodeId;
      this.#note({ via, protocol: 'sotw', typeUrl, nodeId: request.node?.id ?? '', names: request.resourceNames, version: request.versionInfo, nonce: request.responseNonce, initialVersions: {}, error: request.errorDetail?.message ?? '' });
      types.set(typeUrl, { request, sent: types.get(typeUrl)?.sent ?? '' });
      respond(typeUrl);
    });
    this.#follow(call, watch);
  }

  #delta(call: DeltaCall, via: Asked['via'], only: string): void {
    const types = new Map<string, { wildcard: boolean; names: Set<string>; versions: Map<string, string> }>();
    let nodeId = '';
    const watch: Watch = { answer: () => { for (const typeUrl of order) respond(typeUrl); } };
    const respond = (typeUrl: string) => {
      const state = types.get(typeUrl);
      const snapshot = this.#snapshots.get(nodeId)?.[typeUrl];
      if (!state || !snapshot) return;
      const wanted = Object.entries(snapshot.resources).filter(([name]) => state.wildcard || state.names.has(name)).map(([name, json]) => ({ name, any: anyOf(typeUrl, json) })).map((each) => ({ ...each, version: versionOf(each.any.value) }));
      const changed = wanted.filter(({ name, version }) => state.versions.get(name) !== version);
      const gone = [...state.versions.keys()].filter((name) => !wanted.some((each) => each.name === name));
      if (changed.length + gone.length === 0) return;
      for (const { name, version } of changed) state.versions.set(name, version);
      for (const name of gone) state.versions.delete(name);
      call.write({
        systemVersionInfo: snapshot.version, typeUrl, removedResources: gone, removedResourceNames: [], nonce: String(++this.#nonces), controlPlane: undefined,
        resources: changed.map(({ name, version, any }) => ({ name, version, resource: any, aliases: [] })),
      });
    };
    call.on('data', (request: DeltaDiscoveryRequest) => {
      const typeUrl = only || request.typeUrl;
      nodeId = request.node?.id ?? nodeId;
      this.#note({ via, protocol: 'delta', typeUrl, nodeId: request.node?.id ?? '', names: request.resourceNamesSubscribe, version: '', nonce: request.responseNonce, initialVersions: request.initialResourceVersions, error: request.errorDetail?.message ?? '' });
      const known = types.get(typeUrl);
      const state = known ?? { wildcard: request.resourceNamesSubscribe.length === 0, names: new Set<string>(), versions: new Map(Object.entries(request.initialResourceVersions)) };
      types.set(typeUrl, state);
      for (const name of request.resourceNamesSubscribe) state.names.add(name);
      for (const name of request.resourceNamesUnsubscribe) {
        state.names.delete(name);
        state.versions.delete(name);
      }
      respond(typeUrl);
    });
    this.#follow(call, watch);
  }

  #follow(call: SotwCall | DeltaCall, watch: Watch): void {
    this.#watches.add(watch);
    call.on('error', () => this.#watches.delete(watch));
    call.on('end', () => {
      this.#watches.delete(watch);
      call.end();
    });
    call.on('close', () => this.#watches.delete(watch));
  }
}

/** What others refer to goes first. */
const order = [xdsType.nameTable, xdsType.cluster, xdsType.endpoint, xdsType.secret, xdsType.extension, xdsType.listener, xdsType.scope, xdsType.route];

function anyOf(typeUrl: string, json: Json): { typeUrl: string; value: Buffer } {
  return { typeUrl, value: Buffer.from(jsonToBinary(typeNameOf(typeUrl), json)) };
}

function versionOf(bytes: Buffer): string {
  let hash = 7;
  for (const byte of bytes) hash = (hash * 31 + byte) >>> 0;
  return hash.toString(16);
}

function unary(_call: unknown, callback: (error: Error) => void): void {
  callback(new Error('only streams are served'));
}
