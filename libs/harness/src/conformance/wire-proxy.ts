import { ok, waitFor } from '@meltemi/base';
import { MeshViews, resourceExtensions, type Call, type LoadedMesh, type ProxyQuestion, type ProxyView } from '@meltemi/explain';
import type { StreamInfo } from '@meltemi/http';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { serviceTargets, type KeySets } from '@meltemi/pilot';
import { nodeFacts } from '@meltemi/proxy';
import { createWorkerServer, type WorkerServer } from '@meltemi/proxy-edge';
import { compileCluster, type Cluster, type Listener } from '@meltemi/snapshot';
import { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { jsonToBinary } from '@meltemi/api';
import type { TestAuthority } from './certificates.ts';
import type { GrpcAuthorizer } from './grpc-authorizer.ts';
import type { TestUpstream } from './upstream.ts';

/** What a proxy on the wire needs. */
export interface WireNeeds {
  readonly authority: Pick<TestAuthority, 'secret'>;
  /** Stands behind every cluster; `address` is 127.0.0.1 unless said otherwise. */
  readonly upstream: { readonly port: number; readonly address?: string };
  /** Stands behind external authorizers over HTTP. */
  readonly authorizer: { readonly port: number };
  /** And over gRPC, where one is asked. */
  readonly grpcAuthorizer?: { readonly port: number };
  /** Keys of issuers that policies name by URL. */
  readonly keySets?: KeySets;
  /** A loopback address of its own: listeners keep their ports. */
  readonly address: string;
}

/** What the proxy under test is surrounded by. */
export interface Surroundings extends WireNeeds {
  readonly authority: TestAuthority;
  readonly upstream: TestUpstream;
  readonly authorizer: TestUpstream;
  readonly grpcAuthorizer: GrpcAuthorizer;
}

/** A real worker of our proxy with the resources that pilot makes for one proxy; every cluster leads to the test's upstream, and what the kernel says of captured connections is made up. */
export class WireProxy {
  readonly view: ProxyView;
  readonly address: string;
  /** Counters of the worker. */
  readonly stats = new FlatStats();
  readonly metrics = new StatsRegistry();
  #logged: StreamInfo[] = [];
  readonly #server: WorkerServer;
  #destination: { ip: string; port: number } | null = null;

  private constructor(view: ProxyView, { address }: WireNeeds) {
    this.view = view;
    this.address = address;
    const log = { info: () => {}, warn: () => {}, error: (fields: object, message: string) => console.error(message, fields) };
    this.#server = createWorkerServer({
      node: nodeFacts({ id: view.proxy.id, cluster: '', metadata: { NAMESPACE: view.proxy.namespace, LABELS: view.proxy.labels } }),
      stats: this.stats, metrics: this.metrics, log,
      // what happens to fewer than 100 % of requests does not happen
      random: { next: () => 0.999_999 },
      loadSocketOptions: () => Promise.resolve(ok({ originalDestination: () => this.#destination, setTransparent: () => ok(undefined), peerCredentials: () => null })),
      openAccessLog: () => (info) => void this.#logged.push(info),
    });
  }

  static async start(mesh: LoadedMesh, question: ProxyQuestion, surroundings: WireNeeds): Promise<WireProxy> {
    const view = new MeshViews({ ...mesh, meshConfig: { ...mesh.meshConfig, accessLogFile: '/dev/stdout' } }, undefined, surroundings.keySets).of(question);
    if (!view.ok) throw new Error(view.error.map(({ path, message }) => `${path} ${message}`).join('\n'));
    const proxy = new WireProxy(view.value, surroundings);
    await proxy.#fill(surroundings);
    return proxy;
  }

  async #fill({ authority, upstream, authorizer, grpcAuthorizer = authorizer }: WireNeeds): Promise<void> {
    const { view } = this;
    const [http, grpc] = [authorizerClusters(view, 'envoyExtAuthzHttp'), authorizerClusters(view, 'envoyExtAuthzGrpc')];
    for (const name of view.clusters.keys()) {
      const target = http.has(name) ? authorizer : grpc.has(name) ? grpcAuthorizer : upstream;
      const set = this.#server.setCluster(replaced(name, name === 'BlackHoleCluster' ? null : target, grpc.has(name)));
      if (!set.ok) throw new Error(`cluster ${name}: ${set.error[0]?.message}`);
    }
    for (const [name, table] of view.routes) this.#server.setRouteTable(name, table);
    const listeners = view.listeners.map((listener) => moved(listener, this.address));
    this.refreshSecrets(authority);
    // those that hand connections on come last
    for (const listener of listeners.toSorted((a, b) => Number(a.useOriginalDst) - Number(b.useOriginalDst))) {
      const started = await this.#server.setListener(listener);
      if (!started.ok) throw new Error(`listener ${listener.name}: ${started.error.map(({ path, message }) => `${path} ${message}`).join('; ')}`);
    }
  }

  /** Gives every secret that the listeners name, anew. */
  refreshSecrets(authority: WireNeeds['authority']): void {
    for (const secret of new Set(this.view.listeners.flatMap(({ sdsNames }) => [...sdsNames]))) this.#server.setSecret(secret, authority.secret(secret));
  }

  /** Where a client connects for this call; null when nobody listens there. */
  entrance(call: Call, destination: { readonly ip: string; readonly port: number }): number | null {
    this.forgetLog();
    return this.enter(call.mode, destination);
  }

  /** As `entrance`; the log goes on. Captured connections lead to `destination` from now on. */
  enter(mode: Call['mode'], destination: { readonly ip: string; readonly port: number }): number | null {
    this.#destination = null;
    const bound = (name: string) => this.#server.listeners().find((one) => one.name === name)?.bound[0];
    const port = (target: ReturnType<typeof bound>) => (target?.kind === 'ip' ? target.port : null);
    if (this.view.proxy.type === 'router') return this.#routerPort(destination.port);
    const captured = port(bound(mode === 'inbound' ? 'virtualInbound' : 'virtualOutbound'));
    if (captured !== null) {
      this.#destination = { ...destination };
      return captured;
    }
    return this.#routerPort(destination.port);
  }

  /** A listener of this port, or of the port that the gateway's own Service makes of it. */
  #routerPort(wanted: number): number | null {
    const { proxy, push } = this.view;
    const target = serviceTargets(push, proxy).find((one) => one.port.number === wanted)?.targetPort;
    for (const port of [wanted, target]) {
      const found = this.view.listeners.find((one) => one.addresses.some((at) => at.kind === 'ip' && at.port === port));
      const bound = found && this.#server.listeners().find(({ name }) => name === found.name)?.bound[0];
      if (bound?.kind === 'ip') return bound.port;
    }
    return null;
  }

  /** Access log entries of the call that runs. */
  get logged(): readonly StreamInfo[] {
    return this.#logged;
  }

  forgetLog(): void {
    this.#logged = [];
  }

  /** Connections so far that no filter chain took. */
  get unmatched(): number {
    return this.stats.entries({ filter: /\.no_filter_chain_match$/ }).reduce((sum, { value }) => sum + value, 0);
  }

  /** The access log entry of a client's connection, by its address; null when there is none. */
  async entry(client: string): Promise<StreamInfo | null> {
    const find = () => this.#logged.find(({ connection }) => connection.directRemoteAddress === client);
    return waitFor('an access log entry', find, { deadlineMs: 2000, everyMs: 2 }).catch(() => null);
  }

  stop(): void {
    this.#server.stop();
  }
}

/** Listens on an address of the test; ports that need privileges are left to the system when there are none. */
function moved(listener: Listener, address: string): Listener {
  if (!listener.bindToPort) return listener;
  const privileged = process.getuid?.() === 0;
  return { ...listener, addresses: listener.addresses.slice(0, 1).map((at) => (at.kind === 'ip' ? { ...at, address, port: at.port < 1024 && !privileged ? 0 : at.port } : at)) };
}

const http2Options = { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', explicitHttpConfig: { http2ProtocolOptions: {} } } };

/** The same name, with the test's upstream behind it. */
function replaced(name: string, target: WireNeeds['upstream'] | null, http2: boolean): Cluster {
  const endpoints = target === null ? [] : [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: target.address ?? '127.0.0.1', portValue: target.port } } } }] }];
  const options = http2 ? { typedExtensionProtocolOptions: http2Options } : {};
  const compiled = compileCluster(ClusterMessage.decode(jsonToBinary('envoy.config.cluster.v3.Cluster', { name, type: 'STATIC', connectTimeout: '2s', loadAssignment: { clusterName: name, endpoints }, ...options })), resourceExtensions);
  if (!compiled.ok) throw new Error(compiled.error[0]?.message);
  return compiled.value.value;
}

/** Clusters of MeshConfig's external authorizers that speak this way. */
function authorizerClusters({ mesh, clusters }: ProxyView, kind: 'envoyExtAuthzHttp' | 'envoyExtAuthzGrpc'): Set<string> {
  const services = (mesh.meshConfig.extensionProviders ?? []).flatMap((provider) => {
    const authz = (provider as { readonly [Kind in typeof kind]?: { readonly service: string; readonly port: number } })[kind];
    return authz ? [authz] : [];
  });
  return new Set([...clusters.keys()].filter((name) => services.some(({ service, port }) => name === `outbound|${port}||${service.replace(/^.*\//, '')}`)));
}
