import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';

/**
 * The seam between codecs and everything above: a stream is a head, body parts, an end with or without trailers, or a reset.
 * Buffers are valid only during the call. A data call that returns false asks for no more until `onWritable`.
 */

/** How the downstream codec takes a response. One response per stream. */
export interface ResponseWriter {
  interim(head: ResponseHead): void;
  head(head: ResponseHead, endStream: boolean): void;
  data(buffer: Buffer, start: number, end: number): boolean;
  end(trailers: HeaderMap | null): void;
  /** Gives the stream up: for HTTP/1 the connection closes. */
  reset(): void;
  pauseRequest(): void;
  resumeRequest(): void;
}

/** Who gets the rest of a request after its head. */
export interface RequestReceiver {
  onData(buffer: Buffer, start: number, end: number): void;
  onEnd(trailers: HeaderMap | null): void;
  /** Nothing follows: the client went away, or sent what cannot be read. `details` is for the access log when the codec knows more. */
  onReset(reason: 'disconnect' | 'protocol', details?: string): void;
  onWritable(): void;
}

/** How the upstream codec takes a request. One request per stream. */
export interface RequestWriter {
  head(head: RequestHead, endStream: boolean): void;
  data(buffer: Buffer, start: number, end: number): boolean;
  end(trailers: HeaderMap | null): void;
  /** Gives the stream up; nothing is told afterwards. */
  reset(): void;
  pauseResponse(): void;
  resumeResponse(): void;
}

/** Who gets a response. After `endStream`, `onEnd` or `onReset` nothing follows. */
export interface ResponseReceiver {
  onInterim(head: ResponseHead): void;
  onHead(head: ResponseHead, endStream: boolean): void;
  onData(buffer: Buffer, start: number, end: number): void;
  onEnd(trailers: HeaderMap | null): void;
  onReset(reason: UpstreamReset): void;
  onWritable(): void;
}

/** Why an upstream stream ended early. */
export interface UpstreamReset {
  /** `remote`: the peer gave up this stream alone; `local`: we cannot send it on this connection. */
  readonly kind: 'termination' | 'protocol' | 'remote' | 'local';
  readonly detail: string;
  /** The connection had served requests before and gave no byte for this one: the peer most likely closed it while idle. */
  readonly stale: boolean;
  /** The peer surely has not processed the request: sending it again elsewhere is safe, whatever its method. */
  readonly refused: boolean;
}
