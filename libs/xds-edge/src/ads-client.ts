import { Client as GrpcClient, connectivityState, Metadata, status as grpcStatus, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { mathRandom, systemClock, type Clock, type Random } from '@meltemi/base';
import { deltaXdsClient, sotwXdsClient, type ClientOutput, type ClientUpdate, type Verdict, type XdsClient } from '@meltemi/xds';
import type { AdsClient, AdsClientOptions, XdsTarget } from './client-types.ts';
import { aggregatedService, separateServices, type StreamMethod } from './xds-services.ts';

/** Starts dialling; never throws for a server that is away. */
export function startAdsClient(options: AdsClientOptions): AdsClient {
  const service = options.onlyType === undefined ? aggregatedService : separateServices.get(options.onlyType);
  if (!service) throw new Error(`there is no xDS service for ${options.onlyType}`);
  if (options.protocol === 'sotw') return new Client(options, sotwXdsClient(options.node, options), service.sotw);
  return new Client(options, deltaXdsClient(options.node, options), service.delta);
}

/** Responses received and not handed out yet above which reading pauses. */
const maxBacklog = 100;
/** Requests not yet written above which the server is taken for dead. */
const maxUnwritten = 10_000;

/** One dialled connection. */
interface Link<Request, Response> {
  readonly address: string;
  readonly client: GrpcClient;
  readonly call: ClientDuplexStream<Request, Response>;
  readonly cancelDeadline: () => void;
  up: boolean;
  /** A response came. */
  answered: boolean;
}

class Client<Request, Response> implements AdsClient {
  readonly #options: AdsClientOptions;
  readonly #machine: XdsClient<Request, Response>;
  readonly #method: StreamMethod<Request, Response>;
  readonly #targets: readonly [XdsTarget, ...XdsTarget[]];
  /** Which of the targets is dialled: the same one again once it has answered. */
  #turn = 0;
  /** Ends of TTLs, by type and name. */
  readonly #expiries = new Map<string, () => void>();
  readonly #clock: Clock;
  readonly #random: Random;
  #link: Link<Request, Response> | undefined;
  #failures = 0;
  readonly #leaveHealth: () => void;
  #cancelRetry = () => {};
  #stopped = false;

  constructor(options: AdsClientOptions, machine: XdsClient<Request, Response>, method: StreamMethod<Request, Response>) {
    this.#options = options;
    this.#machine = machine;
    this.#method = method;
    this.#targets = [options, ...(options.others ?? [])];
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? mathRandom;
    this.#leaveHealth = options.health?.subscribe(() => this.#tellHealth()) ?? (() => {});
    this.#retryAfter(0);
  }

  get connected(): boolean {
    return this.#link?.up ?? false;
  }

  subscribe(typeUrl: string, names: Iterable<string> | '*'): void {
    this.#take(this.#machine.subscribe(typeUrl, names));
  }

  unsubscribe(typeUrl: string, names: Iterable<string> | '*'): void {
    this.#take(this.#machine.unsubscribe(typeUrl, names));
  }

  reconnect(reason: string): void {
    if (this.#stopped) return;
    this.#drop(reason);
    this.#failures = 0;
    this.#retryAfter(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry();
    this.#leaveHealth();
    for (const cancel of this.#expiries.values()) cancel();
    this.#expiries.clear();
    this.#drop('stopped');
  }

  #retryAfter(delayMs: number): void {
    this.#cancelRetry();
    this.#cancelRetry = this.#clock.after(delayMs, () => this.#dial());
  }

  #dial(): void {
    if (this.#stopped || this.#link) return;
    const { connectDeadlineMs = 5000 } = this.#options;
    const target = this.#targets[this.#turn % this.#targets.length] ?? this.#targets[0];
    const { address } = target;
    const client = this.#channel(target);
    if (!client) return;
    const { path, requestSerialize, responseDeserialize } = this.#method;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadataOf(target));
    const cancelDeadline = this.#clock.after(connectDeadlineMs, () => {
      if (client.getChannel().getConnectivityState(false) !== connectivityState.READY) this.#lost(link, `no connection to ${address} within ${connectDeadlineMs} ms`);
    });
    const link: Link<Request, Response> = { address, client, call, cancelDeadline, up: false, answered: false };
    this.#link = link;
    call.on('metadata', () => this.#up(link));
    call.on('data', (response: Response) => this.#received(link, response));
    call.on('error', (error: ServiceError) => this.#lost(link, `${address}: ${grpcStatus[error.code] ?? error.code}: ${error.details}`));
    call.on('end', () => this.#lost(link, `${address}: the server ended the stream`));
    this.#take(this.#machine.connected());
    this.#tellHealth();
  }

  #tellHealth(): void {
    const health = this.#options.health?.current;
    if (health) this.#take(this.#machine.health(health.healthy ? undefined : health.reason));
  }

  /** Undefined when its credentials cannot be had now: their files may be in the middle of a change. */
  #channel(target: XdsTarget): GrpcClient | undefined {
    try {
      return new GrpcClient(target.address, target.credentials(), channelOptions(this.#options, target));
    } catch (cause) {
      this.#turn++;
      this.#options.onDisconnected?.(`${target.address}: ${cause instanceof Error ? cause.message : String(cause)}`);
      this.#retryAfter(this.#backoffMs());
      return undefined;
    }
  }

  #up(link: Link<Request, Response>): void {
    if (link !== this.#link || link.up) return;
    link.up = true;
    link.cancelDeadline();
    this.#options.onConnected?.();
  }

  #received(link: Link<Request, Response>, response: Response): void {
    if (link !== this.#link) return;
    this.#up(link);
    // Only a response proves that the server serves us; one that accepts and refuses at once must not be hammered.
    this.#failures = 0;
    link.answered = true;
    this.#take(this.#machine.received(response));
    if (this.#machine.backlog() > maxBacklog) link.call.pause();
  }

  #lost(link: Link<Request, Response>, reason: string): void {
    if (link !== this.#link) return;
    if (!link.answered) this.#turn++;
    this.#drop(reason);
    if (!this.#stopped) this.#retryAfter(this.#backoffMs());
  }

  #backoffMs(): number {
    const { initialBackoffMs = 250, maxBackoffMs = 4000 } = this.#options;
    const base = Math.min(maxBackoffMs, initialBackoffMs * 2 ** Math.min(this.#failures++, 20));
    return Math.min(maxBackoffMs, base * (0.8 + 0.4 * this.#random.next()));
  }

  #drop(reason: string): void {
    const link = this.#link;
    if (!link) return;
    this.#link = undefined;
    link.cancelDeadline();
    link.call.removeAllListeners();
    // A cancelled call still reports its own cancellation; nobody is interested any more.
    link.call.on('error', () => {});
    link.call.cancel();
    link.client.close();
    this.#machine.disconnected();
    this.#options.onDisconnected?.(reason);
  }

  #take(output: ClientOutput<Request>): void {
    const link = this.#link;
    if (link) for (const request of output.requests) link.call.write(request);
    if (link && link.call.writableLength > maxUnwritten) this.#lost(link, `${link.address}: the server does not read`);
    for (const update of output.updates) this.#handOut(update);
  }

  /** Undefined: for ever. A server that is gone does not stop the time. */
  #expireAfter(typeUrl: string, name: string, ttlMs: number | undefined): void {
    const key = `${typeUrl} ${name}`;
    this.#expiries.get(key)?.();
    this.#expiries.delete(key);
    if (ttlMs === undefined || this.#stopped) return;
    this.#expiries.set(key, this.#clock.after(ttlMs, () => {
      this.#expiries.delete(key);
      this.#take(this.#machine.expire(typeUrl, name));
    }));
  }

  #handOut(update: ClientUpdate): void {
    const settle = (verdict: Verdict): void => {
      this.#take(this.#machine.settle(update.ticket, verdict));
      if (this.#machine.backlog() <= maxBacklog && this.#link?.call.isPaused()) this.#link.call.resume();
    };
    const { typeUrl, version, added, removed, ttls } = update;
    for (const { name } of added) this.#expireAfter(typeUrl, name, undefined);
    for (const name of removed) this.#expireAfter(typeUrl, name, undefined);
    for (const [name, ttlMs] of ttls) this.#expireAfter(typeUrl, name, ttlMs);
    try {
      this.#options.onUpdate({
        typeUrl,
        version,
        added,
        removed,
        accept: () => settle({ kind: 'accept' }),
        reject: (errors) => settle(typeof errors === 'string' ? { kind: 'reject-all', reason: errors } : { kind: 'reject', resources: errors }),
      });
    } catch (cause) {
      // The server must hear of it: a silent client would look slow, not broken.
      settle({ kind: 'reject-all', reason: `the client failed on this update: ${cause instanceof Error ? cause.message : String(cause)}` });
    }
  }
}

function metadataOf({ metadata = [] }: XdsTarget): Metadata {
  const built = new Metadata();
  for (const [key, value] of metadata) built.add(key, value);
  return built;
}

function channelOptions(options: AdsClientOptions, { serverName, authority }: XdsTarget): Record<string, number | string> {
  return {
    'grpc.keepalive_time_ms': options.keepaliveMs ?? 10_000,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs ?? 5000,
    'grpc.max_receive_message_length': options.maxResponseBytes ?? 64 << 20,
    // Each dial is a fresh channel with fresh credentials; our own back-off decides when.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_retries': 0,
    // An application's http_proxy may point at this very sidecar.
    'grpc.enable_http_proxy': 0,
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName }),
    ...(authority === undefined ? {} : { 'grpc.default_authority': authority }),
  };
}
