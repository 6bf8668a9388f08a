import { Server, type sendUnaryData, type ServerCredentials, type ServerReadableStream, status } from '@grpc/grpc-js';
import { formatFieldErrors, systemClock, TokenBucket, type Rate, type Result } from '@meltemi/base';
import { AccessLogServiceService, type StreamAccessLogsMessage, type StreamAccessLogsResponse } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';
import type { SpiffeId } from '@meltemi/identity';
import { callLimits, defaultConnectionLimits, limitConnections, type ConnectionLimits } from '@meltemi/identity-edge';
import type { Attributes } from '@meltemi/mixer';
import type { StatsRegistry } from '@meltemi/observe';
import { formatAddress, type Address, type Logger } from '@meltemi/observe-edge';
import { ReportingStream } from './reporting-stream.ts';
import { declareAccessLogStats, type AccessLogStats } from './stats.ts';

type Call = ServerReadableStream<StreamAccessLogsMessage, StreamAccessLogsResponse>;
type Reply = sendUnaryData<StreamAccessLogsResponse>;

export interface AccessLogServerOptions {
  readonly credentials: ServerCredentials;
  /** Who calls, by the verified certificate (callerIdentity of identity-edge). Undefined only for plaintext: then nodes are believed. */
  readonly identify: ((call: Pick<Call, 'getAuthContext'>) => Result<SpiffeId>) | undefined;
  /** Trust domain of the mesh: identities of others may not report. Undefined: any that TLS lets in. */
  readonly trustDomain?: string;
  readonly report: (attributes: Attributes) => void;
  readonly stats: StatsRegistry;
  readonly log: Logger;
  /** Streams at a time; more are refused with RESOURCE_EXHAUSTED. Default 4000. */
  readonly maxStreams?: number;
  /** Of one client: an identity, or an address where none is proved. Default a quarter of `maxStreams`. */
  readonly maxStreamsPerClient?: number;
  /** How often one client may begin a stream; default 100 a second, 1,000 at once. */
  readonly streamRatePerClient?: Rate;
  /** Entries of one stream: beyond it messages wait unread. Default 20,000 a second, 40,000 at once. */
  readonly entryRate?: Rate;
  /** Largest message. Default 4 MiB. */
  readonly maxMessageBytes?: number;
  readonly connections?: Partial<ConnectionLimits>;
}

const defaultMaxStreams = 4000;
const defaultStreamRate: Rate = { perSecond: 100, burst: 1000 };
const defaultEntryRate: Rate = { perSecond: 20_000, burst: 40_000 };
/** Without flags. */
export const reportConnections: ConnectionLimits = { ...defaultConnectionLimits, maxConnections: 5000, maxPerAddress: 2500, maxPerIdentity: 1250 };

/** Envoy's access log service over gRPC (envoy.service.accesslog.v3): proxies stream their entries, each becomes attributes for `report`. */
export class AccessLogServer {
  readonly #options: AccessLogServerOptions;
  readonly #stats: AccessLogStats;
  readonly #open = new Map<Call, (refusal: { code: number; details: string }) => void>();
  readonly #server: Server;
  #draining = false;

  constructor(options: AccessLogServerOptions) {
    this.#options = options;
    this.#stats = declareAccessLogStats(options.stats);
    const maxStreams = options.maxStreams ?? defaultMaxStreams;
    this.#server = new Server({
      interceptors: [callLimits({
        maxOpenPerClient: options.maxStreamsPerClient ?? Math.ceil(maxStreams / 4), ratePerClient: options.streamRatePerClient ?? defaultStreamRate,
        onRefused: (reason, client) => this.#limited(reason === 'open' ? 'client' : 'rate', client),
      })],
      'grpc.max_concurrent_streams': 100,
      'grpc.max_connection_idle_ms': 300_000,
      'grpc.max_receive_message_length': options.maxMessageBytes ?? 4 * 1024 * 1024,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
    });
    this.#server.addService(AccessLogServiceService, { streamAccessLogs: (call: Call, reply: Reply) => this.#accept(call, reply) });
  }

  /** Resolves with the port that was bound. */
  listen(address: Address): Promise<Address> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(formatAddress(address), this.#options.credentials, (error, port) => {
        if (error) {
          reject(error);
          return;
        }
        limitConnections(this.#server, { ...reportConnections, ...this.#options.connections, onRefused: (_reason, client) => this.#limited('connection', client) });
        resolve({ host: address.host, port });
      });
    });
  }

  #limited(reason: 'client' | 'rate' | 'connection', client: string): void {
    this.#stats.streamsRefused.labels(reason).inc();
    this.#options.log.debug({ client, reason }, 'telemetry refuses a client that has enough already');
  }

  /** Turns new streams away and ends the open ones with UNAVAILABLE: proxies keep their entries and come back to the next instance. */
  drain(): void {
    this.#draining = true;
    for (const end of this.#open.values()) end({ code: status.UNAVAILABLE, details: 'telemetry is shutting down' });
  }

  /** Closes the port and every connection. */
  stop(): void {
    this.drain();
    this.#server.forceShutdown();
  }

  get openStreams(): number {
    return this.#open.size;
  }

  #accept(call: Call, reply: Reply): void {
    const limit = this.#options.maxStreams ?? defaultMaxStreams;
    const refusal = this.#draining ? { code: status.UNAVAILABLE, details: 'telemetry is shutting down' } : this.#open.size >= limit ? { code: status.RESOURCE_EXHAUSTED, details: `${limit} access log streams are open already` } : undefined;
    if (refusal) {
      this.#stats.streamsRefused.labels(this.#draining ? 'draining' : 'limit').inc();
      call.resume();
      reply(refusal);
      return;
    }
    this.#serve(call, reply);
  }

  #serve(call: Call, reply: Reply): void {
    const { identify, report, log } = this.#options;
    const peer = call.getPeer();
    const stream = new ReportingStream({
      identify: identify && (() => identify(call)),
      trustDomain: this.#options.trustDomain,
      report,
      stats: this.#stats,
      now: () => performance.now(),
      onBadEntry: (reporter, errors) => log.warn({ node: reporter.id, peer, reason: formatFieldErrors(errors) }, 'access log entry refused'),
    });
    const pace = new TokenBucket(this.#options.entryRate ?? defaultEntryRate, performance.now());
    let cancelPause = (): void => undefined;
    let over = false;
    const end = (refusal?: { code?: number; details?: string }): void => {
      if (over) return;
      over = true;
      cancelPause();
      this.#open.delete(call);
      this.#stats.streams.set(this.#open.size);
      if (refusal) reply(refusal);
      else reply(null, {});
    };
    this.#open.set(call, end);
    this.#stats.streams.set(this.#open.size);
    call.on('data', (message: StreamAccessLogsMessage) => {
      const refusal = over ? undefined : stream.receive(message);
      if (!refusal) {
        // Who sends too much is read later: HTTP/2 holds it up, and nobody else.
        const waitMs = over ? 0 : pace.spend(1 + (message.logEntries?.value.logEntry.length ?? 0), performance.now());
        if (waitMs > 0) {
          call.pause();
          cancelPause = systemClock.after(waitMs, () => call.resume());
        }
        return;
      }
      log.warn({ audit: true, peer, reason: refusal.details }, 'access log stream refused');
      end(refusal);
    });
    call.on('end', () => end());
    call.on('cancelled', () => end());
    call.on('error', (error: Error) => {
      log.debug({ err: error, peer }, 'access log stream failed');
      end({ code: status.CANCELLED, details: error.message });
    });
  }
}
