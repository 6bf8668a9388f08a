import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Writable } from 'node:stream';
import type { Chunks } from './response-chunks.ts';

/** Where the responses of one stream go. */
export interface ResponseWriter<Response> {
  /** False: nothing more until `onceDrained` calls back. */
  write(response: Response): boolean;
  onceDrained(callback: () => void): void;
  /** Grows while the client reads; undefined: cannot be told. */
  progress(): number | undefined;
}

/** A response larger than may be sent. */
export class ResponseTooLarge extends Error {}

/**
 * Writes responses to the HTTP/2 stream under a call. grpc-js copies each message into a buffer of its own, so a thousand clients that read slowly would
 * hold a thousand copies of one table; here the large parts are the same memory for all, and a client is full when it has not read the last response.
 * Where grpc-js is built otherwise (its insides are not its API), the call's own way is used, with its copies.
 */
export function responseWriter<Response>(call: ServerDuplexStream<unknown, Response>, encode: (response: Response) => Chunks, maxBytes: number): ResponseWriter<Response> {
  const stream = http2StreamOf(call);
  if (!stream) return { write: (response) => call.write(response), onceDrained: (callback) => void call.once('drain', callback), progress: () => undefined };
  return {
    write: (response) => writeMessage(stream, encode(response), maxBytes),
    onceDrained: (callback) => void stream.once('drain', callback),
    progress: () => stream.session?.socket.bytesWritten,
  };
}

interface Http2Stream extends Writable {
  readonly headersSent: boolean;
  readonly session?: { readonly socket: { readonly bytesWritten: number } };
}

interface CallUnderCall {
  readonly nextCall?: CallUnderCall;
  readonly stream?: unknown;
}

/** The stream that carries a call whose headers were sent. */
export function http2StreamOf(call: object): Http2Stream | undefined {
  let under = (call as { readonly call?: CallUnderCall }).call;
  // each interceptor is a call around the next one
  while (under?.nextCall) under = under.nextCall;
  const inner = under?.stream;
  const found = typeof inner === 'object' && inner !== null ? (inner as Partial<Http2Stream>) : {};
  return typeof found.write === 'function' && typeof found.cork === 'function' && found.headersSent === true ? (found as Http2Stream) : undefined;
}

/** gRPC's frame: not compressed, and the length. */
const prefixBytes = 5;

const copiedBytes = 8192;

function writeMessage(stream: Http2Stream, chunks: Chunks, maxBytes: number): boolean {
  if (stream.destroyed || stream.writableEnded) return true;
  const size = chunks.reduce((sum, { length }) => sum + length, 0);
  if (size > maxBytes) throw new ResponseTooLarge(`a response of ${size} bytes is more than the ${maxBytes} that may be sent`);
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(size, 1);
  // what is small is cheaper to copy than to hand over in parts
  if (size <= copiedBytes) return stream.write(Buffer.concat([prefix, ...chunks], prefixBytes + size));
  stream.cork();
  let more = stream.write(prefix);
  for (const chunk of chunks) more = stream.write(chunk);
  stream.uncork();
  return more;
}
