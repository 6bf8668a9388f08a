import { X509Certificate } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { formatSpiffeId } from '@meltemi/identity';
import { channelCredentials, meshChannelOptions, type IdentityAgent } from '@meltemi/identity-edge';
import { parseSinkKey } from '@meltemi/proxy';
import { compileCluster, compileLoadAssignment, compileSecret, type LoadAssignment, type UpstreamTls } from '@meltemi/snapshot';
import type { ResourceStore } from '../control/resource-store.ts';
import type { PoolLog } from '../control/worker-pool.ts';
import { checkPeer, tlsMaterial } from '../transport/tls-material.ts';
import { proxyExtensions } from '../worker/extensions.ts';
import { AccessLogSender, type AlsTarget } from './access-log-sender.ts';

export interface ReportSendersOptions {
  readonly node: Node;
  readonly store: () => ResourceStore;
  /** This workload's identity, for clusters that want mTLS. */
  readonly identity: () => IdentityAgent | undefined;
  readonly log: PoolLog;
}

/** Sends the workers' access log entries to the clusters that take them; one stream per sink. Lives on the control thread: no request waits for it. */
export class ReportSenders {
  readonly #options: ReportSendersOptions;
  readonly #senders = new Map<string, AccessLogSender>();
  #dropped = 0;
  #warnedAt = 0;

  constructor(options: ReportSendersOptions) {
    this.#options = options;
  }

  send(sink: string, entries: readonly Uint8Array[]): void {
    let sender = this.#senders.get(sink);
    if (!sender) {
      const { kind, clusterName, logName } = parseSinkKey(sink);
      sender = new AccessLogSender({ node: this.#options.node, kind, logName, target: () => this.#target(clusterName), onDropped: (count) => this.#drop(count, clusterName) });
      this.#senders.set(sink, sender);
    }
    sender.send(entries);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#senders.values()].map((sender) => sender.stop()));
  }

  #target(clusterName: string): AlsTarget | undefined {
    const store = this.#options.store();
    const held = store.get('clusters', clusterName);
    if (!held) return undefined;
    const cluster = compileCluster(Cluster.decode(held.bytes), proxyExtensions());
    if (!cluster.ok) return undefined;
    const { loadAssignment, edsServiceName, tls, transportSocketMatches } = cluster.value.value;
    const endpoints = loadAssignment ?? this.#assignment(edsServiceName || clusterName);
    // A stream that ends is opened again, perhaps to another one.
    const all = endpoints?.priorities[0]?.flatMap((locality) => locality.endpoints) ?? [];
    const endpoint = all[Math.floor(Math.random() * all.length)];
    if (endpoint?.target.kind !== 'ip') return undefined;
    const labels = endpoint.metadata?.['envoy.transport_socket_match'];
    const wanted = transportSocketMatches.find((each) => Object.entries(each.match).every(([key, value]) => labels?.[key] === value))?.tls ?? tls;
    const host = endpoint.target.address.includes(':') ? `[${endpoint.target.address}]` : endpoint.target.address;
    const identity = this.#options.identity();
    if (wanted === null) return { address: `${host}:${endpoint.target.port}`, credentials: credentials.createInsecure(), options: meshChannelOptions };
    if (!identity) return this.#overTls(`${host}:${endpoint.target.port}`, wanted);
    return { address: `${host}:${endpoint.target.port}`, credentials: channelCredentials(identity, (server) => accepts(wanted, formatSpiffeId(server))), options: meshChannelOptions };
  }

  /** With certificates and roots as the cluster has them: a bootstrap of one's own, without the mesh. */
  #overTls(address: string, config: UpstreamTls): AlsTarget | undefined {
    const material = tlsMaterial(config, (name) => {
      const held = this.#options.store().get('secrets', name);
      const secret = held && compileSecret(Secret.decode(held.bytes));
      return secret?.ok ? secret.value.value.value : undefined;
    });
    if (!material.ok) return undefined;
    const { context, verifies } = material.value;
    const checkServerIdentity = (_host: string, { raw }: { raw: Buffer }) => {
      const reason = checkPeer(new X509Certificate(raw), material.value);
      return reason === null ? undefined : new Error(reason);
    };
    const name = config.sni || 'access-log-service';
    return { address, credentials: credentials.createFromSecureContext(context, { checkServerIdentity, rejectUnauthorized: verifies }), options: { ...meshChannelOptions, 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name } };
  }

  #assignment(name: string): LoadAssignment | undefined {
    const held = this.#options.store().get('endpoints', name);
    const compiled = held && compileLoadAssignment(ClusterLoadAssignment.decode(held.bytes));
    return compiled?.ok ? compiled.value.value : undefined;
  }

  #drop(count: number, clusterName: string): void {
    this.#dropped += count;
    if (Date.now() - this.#warnedAt < 10_000) return;
    this.#warnedAt = Date.now();
    this.#options.log.warn({ cluster: clusterName, dropped: this.#dropped }, 'access log entries dropped: their service does not take them');
  }
}

/** The subject names the cluster asks for; none means any identity of the trust domain. */
function accepts(tls: UpstreamTls, spiffeId: string): boolean {
  const matchers = tls.validation?.sanMatchers ?? [];
  return matchers.length === 0 || matchers.some(({ type, matcher }) => (type === 'uri' || type === 'any') && matcher.matches(spiffeId));
}
