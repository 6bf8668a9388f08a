import { InterceptingCall, type ClientDuplexStream, type Interceptor } from '@grpc/grpc-js';
import { noop } from 'cockatiel';
import {
  Etcd3,
  GRPCAbortedError,
  GRPCCancelledError,
  GRPCDeadlineExceededError,
  GRPCInternalError,
  GRPCUnavailableError,
  GRPCUnknownError,
  type IKeyValue,
  type ILeaseKeepAliveRequest,
  type ILeaseKeepAliveResponse,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchRequest,
  type IWatchResponse,
} from 'etcd3';
import { setTimeout as delay } from 'node:timers/promises';
import { withDeadline } from '@meltemi/base';
import type { EtcdOptions } from './etcd-options.ts';
import { prefixEnd } from './etcd-keys.ts';

/** A range as it was at `revision`. */
export interface Listing {
  readonly kvs: readonly IKeyValue[];
  readonly revision: number;
}

const pageSize = 500;

/**
 * etcd3's KV, transactions, lease grants and raw watch stream, with what it lacks: deadlines on every call, keep-alive, a quorum check on watches and
 * retries that know what may be repeated. Its own retries and circuit breakers are off.
 */
export class EtcdClient {
  readonly timeoutMs: number;
  readonly #attemptMs: number;
  readonly #etcd: Etcd3;
  readonly #signedIn: boolean;
  readonly #closing = new AbortController();

  constructor(options: EtcdOptions) {
    this.timeoutMs = options.timeoutMs ?? 15_000;
    this.#attemptMs = Math.min(4000, this.timeoutMs);
    const { tls } = options;
    this.#signedIn = options.auth !== undefined;
    this.#etcd = new Etcd3({
      hosts: options.endpoints.map((endpoint) => `${tls === undefined ? 'http' : 'https'}://${endpoint}`),
      ...(tls === undefined
        ? {}
        : { credentials: { rootCertificate: tls.ca, ...(tls.key === undefined ? {} : { privateKey: tls.key }), ...(tls.cert === undefined ? {} : { certChain: tls.cert }) } }),
      ...(options.auth === undefined ? {} : { auth: options.auth }),
      grpcOptions: {
        // etcd answers pings more often than every 5 s with GOAWAY.
        'grpc.keepalive_time_ms': 10_000,
        'grpc.keepalive_timeout_ms': 5000,
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 2000,
        ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName, 'grpc.default_authority': tls.serverName }),
      },
      defaultCallOptions: (context) => (context.isStream ? {} : { deadline: Date.now() + this.#attemptMs }),
      faultHandling: { host: () => noop, global: noop },
    });
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Aborts when the client closes. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  close(): void {
    this.#closing.abort();
    this.#etcd.close();
  }

  /** The values of exactly these keys at one revision, in their order; undefined for those that are not there. */
  async getMany(keys: readonly string[]): Promise<{ readonly kvs: readonly (IKeyValue | undefined)[]; readonly revision: number }> {
    const request = { success: keys.map((key) => ({ request_range: { key: Buffer.from(key) } })) };
    const response = await this.retry((options) => this.#etcd.kv.txn(request, options));
    return { kvs: response.responses.map((each) => each.response_range.kvs[0]), revision: Number(response.header.revision) };
  }

  /** Everything under `prefix` at one revision: now, or at `revision`. Linearizable. Reads in pages. */
  async list(prefix: string, options: { readonly revision?: number; readonly keysOnly?: boolean } = {}): Promise<Listing> {
    const kvs: IKeyValue[] = [];
    let key = Buffer.from(prefix);
    let revision = options.revision;
    for (;;) {
      const request = { key, range_end: prefixEnd(prefix), limit: pageSize, keys_only: options.keysOnly ?? false, ...(revision === undefined ? {} : { revision }) };
      const page = await this.retry((call) => this.#etcd.kv.range(request, call));
      revision ??= Number(page.header.revision);
      kvs.push(...page.kvs);
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return { kvs, revision };
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  /** One attempt: whether a failed one took effect is the caller's question. */
  txn(request: ITxnRequest): Promise<ITxnResponse> {
    return this.#etcd.kv.txn(request);
  }

  async grantLease(ttlSeconds: number): Promise<string> {
    return (await this.retry((options) => this.#etcd.leaseClient.leaseGrant({ TTL: ttlSeconds }, options))).ID;
  }

  /** Renews a lease once and says for how many seconds from the moment it was asked; 0: it is over. One attempt. */
  async keepAlive(lease: string): Promise<number> {
    const stream = await this.#etcd.leaseClient.leaseKeepAlive();
    const answers = stream as unknown as ClientDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;
    const ended = new Promise<number>((resolve, reject) => {
      answers.once('data', (answer: ILeaseKeepAliveResponse) => resolve(Number(answer.TTL)));
      // A cancelled stream still reports that it was cancelled.
      answers.on('error', reject);
      answers.once('end', () => reject(new Error('etcd ended the renewal of a lease')));
    });
    try {
      answers.write({ ID: lease });
      return await withDeadline(ended, this.#attemptMs, 'the renewal of an etcd lease');
    } finally {
      answers.cancel();
    }
  }

  /** Ends a lease, and with it the keys that hang on it. One attempt. */
  async revokeLease(lease: string): Promise<void> {
    await this.#etcd.leaseClient.leaseRevoke({ ID: lease });
  }

  async compact(revision: number): Promise<void> {
    await this.retry((options) => this.#etcd.kv.compact({ revision }, options));
  }

  /** A raw watch stream to some member, refused by members without a leader. End it with cancel(). `key` is one that this client may read. */
  async openWatch(key: string): Promise<ClientDuplexStream<IWatchRequest, IWatchResponse>> {
    // etcd3 renews an expired login on calls only: a stream would be refused with the old one forever.
    if (this.#signedIn) await this.getMany([key]);
    const stream = await this.#etcd.watchClient.watch({ interceptors: [requireLeader] });
    // etcd3 types the stream by the four members it uses itself; grpc-js made it.
    return stream as unknown as ClientDuplexStream<IWatchRequest, IWatchResponse>;
  }

  /** Repeats a call that changes nothing, or the same thing twice, until it works, its error is final, or `timeoutMs` is over. */
  async retry<T>(call: (options: { deadline: number }) => Promise<T>): Promise<T> {
    const end = Date.now() + this.timeoutMs;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await call({ deadline: Math.min(end, Date.now() + this.#attemptMs) });
      } catch (cause) {
        if (!isTransient(cause) || this.closed || Date.now() >= end) throw cause;
        await this.pause(attempt);
      }
    }
  }

  /** Backs off before attempt `attempt` + 2: 25 ms doubling to 800 ms, with jitter; ends early when the client closes. */
  async pause(attempt: number): Promise<void> {
    const ms = Math.min(25 * 2 ** Math.min(attempt, 5), 800) * (0.5 + Math.random() / 2);
    await delay(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
  }
}

/** True for failures that another attempt, or another member, may not have: no connection, no leader, too slow. */
export function isTransient(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  if (/no leader|leader changed|timed out|too many requests|not started|stopped|server is unhealthy|waitForReady/i.test(cause.message)) return true;
  return [GRPCUnavailableError, GRPCDeadlineExceededError, GRPCCancelledError, GRPCUnknownError, GRPCInternalError, GRPCAbortedError].some((type) => cause instanceof type);
}

const requireLeader: Interceptor = (options, nextCall) =>
  new InterceptingCall(nextCall(options), {
    start(metadata, listener, next) {
      metadata.set('hasleader', 'true');
      next(metadata, listener);
    },
  });
