import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import type { RouteMatch } from '@meltemi/route';
import type { StreamControls } from '../filter.ts';
import type { StreamTrace } from '../tracing/stream-trace.ts';
import type { HeldBody } from './held-body.ts';
import type { HttpSession } from './http-session.ts';
import type { Redirected, RedirectTrail } from './redirected.ts';

/** What the terminal filter may do besides: bring the response. */
export interface ResponseTarget extends StreamControls {
  readonly session: HttpSession;
  /** Null where nothing is traced. */
  readonly trace: StreamTrace | null;
  interim(head: ResponseHead): void;
  encodeHead(head: ResponseHead, endStream: boolean): void;
  /** False: ask for no more until onDownstreamWritable. */
  encodeData(buffer: Buffer, start: number, end: number): boolean;
  encodeEnd(trailers: HeaderMap | null): void;
  /** Upstream cannot take more of the request, or can again. */
  pauseRequest(): void;
  resumeRequest(): void;
  /** How long the stream may last from its start, in place of the connection manager's max_stream_duration; Infinity = as long as it likes. */
  limitDuration(ms: number): void;
  /** Redirects followed so far; null = none. */
  readonly redirects: RedirectTrail | null;
  /** The route that another request would have. */
  routeOf(head: RequestHead): RouteMatch | null;
  /** Ends this stream without an answer; another with this request, which runs through the filters anew, brings it. The terminal filter has let go. */
  again(next: Redirected, body: { readonly held: HeldBody | null; readonly trailers: HeaderMap | null } | null): void;
}
