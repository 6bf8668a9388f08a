import type { Clock, Random, Result } from '@meltemi/base';
import type { HeaderMap, RequestHead, ResponseHead, StreamInfo } from '@meltemi/http';
import type { FlatStats, StatsRegistry } from '@meltemi/observe';
import type { RouteMatch } from '@meltemi/route';
import type { HcmConfig, ParseContext } from '@meltemi/snapshot';
import type { ByteConnection } from './connection.ts';
import type { HeldBody } from './http/held-body.ts';
import type { NodeFacts } from './node.ts';
import type { SharedState } from './shared-state.ts';
import type { Clusters } from './upstream.ts';

/** What the caller of a filter does next. */
export const FilterStatus = {
  /** Calls the next filter. */
  continue: 0,
  /**
   * Holds this head and everything behind it, and stops reading, until `continueRequest` (or `continueResponse`); nothing more when a
   * local reply was sent or the stream was reset.
   */
  stopIteration: 1,
  /**
   * Holds this head and gathers the body behind it, up to the stream's buffer limit (413 beyond; 500 for a response). The filter is called
   * with each part and the end meanwhile and finds all of it in `heldRequest` (or `heldResponse`).
   */
  stopAndBuffer: 2,
} as const;

/** What becomes of a body part or an end once a filter has seen it. */
export const DataStatus = {
  /** It passes on to the next filter; what returning nothing means too. */
  continue: 0,
  /** It goes no further: the filter sends on what it makes of it with `injectRequestData`, `injectRequestEnd` and their like, now or later. */
  taken: 1,
} as const;

/** Which events a filter wants: others are not called. */
export const FilterEvents = { decodeHead: 1, decodeData: 2, decodeEnd: 4, encodeHead: 8, encodeData: 16, encodeEnd: 32, complete: 64, destroy: 128 } as const;

/** What a filter may do with its stream. Valid from creation to `destroy`. */
export interface StreamControls {
  readonly info: StreamInfo;
  readonly request: RequestHead;
  readonly response: ResponseHead | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly clusters: Clusters;
  readonly node: NodeFacts;
  /** The request said it has no body, or all of it has arrived. */
  readonly requestComplete: boolean;
  /** A response head has gone to the client. */
  readonly responseStarted: boolean;
  /** The route of the request as it is now, or null; looked up once. */
  route(): RouteMatch | null;
  /** Forgets the route: a filter changed what it depends on. */
  clearRoute(): void;
  /** The route's settings for the filter of this name; null when there are none. */
  perRoute(filterName: string): unknown;
  /** The settings of all levels (weighted cluster, route, virtual host, table) that have some for it, most specific first. */
  perRouteLevels(filterName: string): readonly unknown[];
  /** Answers from here. The response runs through the encoding filters like any other. */
  sendLocalReply(reply: LocalReply): void;
  /** Goes on after a stop in `decodeHead`; not from within it. */
  continueRequest(): void;
  /** Goes on after a stop in `encodeHead`; not from within it. */
  continueResponse(): void;
  /** What a stop has gathered of the request's body so far; null when nothing came. */
  readonly heldRequest: HeldBody | null;
  readonly heldResponse: HeldBody | null;
  /** Forgets what `stopAndBuffer` gathered of the response, its trailers too: the filter says something else instead. */
  discardHeldResponse(): void;
  /** Bytes of a request's body that stops may hold; the listener's limit unless a filter (buffer) changes it. */
  requestBufferLimit: number;
  /** Hands a body part to the filters behind `from`, which took one. The buffer may be used again when this returns. */
  injectRequestData(from: HttpStreamFilter, buffer: Buffer, start: number, end: number): void;
  injectRequestEnd(from: HttpStreamFilter, trailers: HeaderMap | null): void;
  /** The same for responses, towards the client. */
  injectResponseData(from: HttpStreamFilter, buffer: Buffer, start: number, end: number): void;
  injectResponseEnd(from: HttpStreamFilter, trailers: HeaderMap | null): void;
  /** Asks the client for no more of the body until released as often as held. */
  holdRequestBody(): void;
  releaseRequestBody(): void;
  /** Asks the upstream for no more until released as often as held. */
  holdResponseBody(): void;
  releaseResponseBody(): void;
  /** Ends the stream without an answer. */
  resetStream(): void;
}

export interface LocalReply {
  readonly status: number;
  readonly body: string | Buffer;
  /** %RESPONSE_CODE_DETAILS% */
  readonly details: string;
  /** Bits of ResponseFlag to set. */
  readonly flags?: number;
  /** Fields to add. */
  readonly headers?: readonly (readonly [string, string])[];
  /** Status for gRPC clients; derived from the HTTP status when absent. */
  readonly grpcStatus?: number;
}

/** The hot part: one object per stream, or one shared by all streams when it keeps nothing between calls. */
export class HttpStreamFilter {
  decodeHead(_stream: StreamControls, _head: RequestHead, _endStream: boolean): number {
    return FilterStatus.continue;
  }
  /** A body part, valid only during the call. Returns a DataStatus, or nothing to let it pass. */
  decodeData(_stream: StreamControls, _buffer: Buffer, _start: number, _end: number): number | void {}
  decodeEnd(_stream: StreamControls, _trailers: HeaderMap | null): number | void {}
  encodeHead(_stream: StreamControls, _head: ResponseHead, _endStream: boolean): number {
    return FilterStatus.continue;
  }
  encodeData(_stream: StreamControls, _buffer: Buffer, _start: number, _end: number): number | void {}
  encodeEnd(_stream: StreamControls, _trailers: HeaderMap | null): number | void {}
  /** The stream is over and `info` final: for statistics and reports. */
  complete(_stream: StreamControls): void {}
  /** Lets go of timers and upstream streams. Called once, also after a local reply or reset. */
  destroy(_stream: StreamControls): void {}
}

/** The last filter of every chain: it also hears when the client can take more, and takes the body away for good. */
export class HttpTerminalFilter extends HttpStreamFilter {
  /** The client can take more of the response again. */
  onDownstreamWritable(): void {}
}

/** What a filter's config may need once, when the chain is built. */
export interface FilterContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly stats: FlatStats;
  readonly metrics: StatsRegistry;
  readonly node: NodeFacts;
  readonly clusters: Clusters;
  readonly hcm: HcmConfig;
  readonly direction: 'unspecified' | 'inbound' | 'outbound';
  /** What all workers of the process know in common. */
  readonly shared: SharedState;
  readonly listenerName: string;
  /** Name of the filter in the chain, which per-route settings go by. */
  readonly filterName: string;
}

/** The cold part, bound to a chain. */
export interface HttpFilterConfig {
  /** Bits of FilterEvents. */
  readonly events: number;
  /** The filter of one stream; null when it has nothing to do for it. @hot */
  create(stream: StreamControls): HttpStreamFilter | null;
  /** The chain is gone, its streams are over: lets go of what is shared with other workers. Once. */
  release?(): void;
}

/** One kind of HTTP filter. `stage` orders documentation, `trust` says whose bytes its parser may see. */
export interface HttpFilterFactory {
  readonly name: string;
  readonly typeUrls: readonly string[];
  /** Types of per-route settings that differ from the filter's own. */
  readonly routeTypeUrls?: readonly string[];
  readonly stage: 'metadata' | 'auth' | 'traffic' | 'stats' | 'terminal';
  readonly trust: 'untrusted-downstream-and-upstream' | 'trusted-config-only';
  readonly terminal?: boolean;
  parse(bytes: Uint8Array, ctx: ParseContext): Result<unknown>;
  parseRoute?(bytes: Uint8Array, ctx: ParseContext): Result<unknown>;
  bind(config: unknown, ctx: FilterContext): HttpFilterConfig;
}

/** What a network filter may do with its connection. Valid until `onClose`. */
export interface ConnectionControls {
  readonly connection: ByteConnection;
  /** Of the connection; in front of a TCP proxy it is also what the session's access log prints. */
  readonly info: StreamInfo;
  /** Goes on after stopIteration in `onNewConnection`, at once or later. */
  continueReading(): void;
  /**
   * Closes now: the filters behind and the terminal one hear nothing of the connection (in `onRead`: nothing of these bytes), nothing is sent.
   * `details` is for %CONNECTION_TERMINATION_DETAILS%, `flags` are bits of ResponseFlag. `onClose` follows.
   */
  close(details: string, flags?: number): void;
}

/** A network filter decides whether a connection is served, and watches its bytes; the terminal one (HTTP connection manager, TCP proxy) owns it. */
export class NetworkStreamFilter {
  /**
   * The connection is open (its TLS handshake is over) and nothing of it was read. FilterStatus.stopIteration holds it, unread, until
   * `continueReading` or `close`: whoever holds has a deadline.
   */
  onNewConnection(_controls: ConnectionControls): number {
    return FilterStatus.continue;
  }
  /** Bytes from the client, before the terminal filter sees them. */
  onRead(_controls: ConnectionControls, _bytes: number): void {}
  /** Bytes to the client. */
  onWrite(_controls: ConnectionControls, _bytes: number): void {}
  /** The upstream of a TCP session is known. */
  onUpstream(_controls: ConnectionControls): void {}
  /** The connection is over and `info` final. Once, also after `close`; lets go of timers. */
  onClose(_controls: ConnectionControls): void {}
}

export interface NetworkFilterConfig {
  create(controls: ConnectionControls): NetworkStreamFilter | null;
  /** The chain is gone, its connections are closed: lets go of what is shared with other workers. Once. */
  release?(): void;
}

export type NetworkFilterContext = Omit<FilterContext, 'hcm'>;

export interface NetworkFilterFactory {
  readonly name: string;
  readonly typeUrls: readonly string[];
  readonly trust: 'untrusted-downstream-and-upstream' | 'trusted-config-only';
  parse(bytes: Uint8Array, ctx: ParseContext): Result<unknown>;
  bind(config: unknown, ctx: NetworkFilterContext): NetworkFilterConfig;
}
