import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import { binaryToJson, typeNameOf } from '@meltemi/api';
import { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { waitFor } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { startAdsClient, type AdsClient, type AdsUpdate } from '@meltemi/xds-edge';

/** How a follower answers an update. */
export type Answer = 'ack' | 'silence' | { readonly nack: string };

export interface FollowerOptions {
  readonly address: string;
  readonly name?: string;
  readonly serviceAccount?: string;
  readonly credentials?: () => ChannelCredentials;
  /** Route tables asked for. */
  readonly routes?: readonly string[];
  /** Default 'delta'. */
  readonly protocol?: 'delta' | 'sotw';
  /** Set: an ingress gateway of istio-system. */
  readonly router?: boolean;
  /** More of the node's metadata. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Secrets asked for. */
  readonly secrets?: readonly string[];
}

/** A proxy as far as xDS goes: subscribes over delta ADS, keeps what it got, answers as told. */
export class XdsFollower {
  /** Short type → how many responses came. */
  readonly responses: string[] = [];
  readonly lost: string[] = [];
  answer: (update: AdsUpdate) => Answer = () => 'ack';
  readonly #held = new Map<string, unknown>();
  readonly #client: AdsClient;

  constructor(options: FollowerOptions) {
    const name = options.name ?? 'productpage-v1-0.default';
    const node: Node = {
      ...Node.decode(new Uint8Array()), id: `${options.router ? 'router' : 'sidecar'}~127.0.0.1~${name}~default.svc.cluster.local`, cluster: name,
      metadata: { NAMESPACE: options.router ? 'istio-system' : 'default', SERVICE_ACCOUNT: options.serviceAccount ?? 'default', MELTEMI_VERSION: '0.1.0', LABELS: options.router ? { istio: 'ingressgateway' } : {}, ...options.metadata },
    };
    this.#client = startAdsClient({
      address: options.address, node, credentials: options.credentials ?? (() => credentials.createInsecure()),
      protocol: options.protocol ?? 'delta', initialBackoffMs: 50, maxBackoffMs: 200,
      onUpdate: (update) => this.#take(update), onDisconnected: (reason) => void this.lost.push(reason),
    });
    this.#client.subscribe(xdsType.cluster, '*');
    this.#client.subscribe(xdsType.listener, '*');
    if (!options.router) this.#client.subscribe(xdsType.route, options.routes ?? ['9080']);
    if (options.secrets) this.#client.subscribe(xdsType.secret, options.secrets);
  }

  get connected(): boolean {
    return this.#client.connected;
  }

  /** A held resource as JSON. */
  held(typeUrl: string, name: string): unknown {
    return this.#held.get(`${typeUrl} ${name}`);
  }

  /** Waits until its route table 9080 matches. */
  route(pattern: RegExp): Promise<boolean> {
    return waitFor(`${String(pattern)} in route 9080`, () => pattern.test(JSON.stringify(this.held(xdsType.route, '9080') ?? '')))
      .catch((cause: unknown) => { throw new Error(`${String(cause)}; it is ${JSON.stringify(this.held(xdsType.route, '9080'))}`); });
  }

  stop(): Promise<void> {
    return this.#client.stop();
  }

  #take(update: AdsUpdate): void {
    this.responses.push(`${update.typeUrl.split('.').at(-1)}+${update.added.length}-${update.removed.length}`);
    const answer = this.answer(update);
    if (answer === 'silence') return;
    if (answer !== 'ack') return update.reject(update.added.map(({ name }) => ({ name, reason: answer.nack })));
    for (const { name, any } of update.added) this.#held.set(`${update.typeUrl} ${name}`, binaryToJson(typeNameOf(update.typeUrl), any.value));
    for (const name of update.removed) this.#held.delete(`${update.typeUrl} ${name}`);
    update.accept();
  }
}
