import { err, ok, type Result } from '@meltemi/base';
import { grpcFromHttp, HeaderMap, RequestHead } from '@meltemi/http';
import { sendAsync, type AsyncAnswer, type AsyncCall, type AsyncFailure, type AsyncPort } from './async-request.ts';

/** One unary call of a filter. */
export interface GrpcCall {
  readonly cluster: string;
  /** What `:authority` says; the cluster's name when "". */
  readonly authority: string;
  /** "/package.Service/Method" */
  readonly path: string;
  /** The encoded request message. */
  readonly message: Uint8Array;
  /** Initial metadata: lower-case names. */
  readonly metadata: readonly (readonly [string, string])[];
  /** More than 0; sent as grpc-timeout, too. */
  readonly timeoutMs: number;
  /** Bytes of the answer's message; 4 MiB when unset, as gRPC has it. */
  readonly maxBytes?: number;
  /** Doing it twice does no harm. */
  readonly repeatable?: boolean;
}

/** A status other than OK, from the server or made here. */
export interface GrpcFailure {
  /** google.rpc.Code */
  readonly status: number;
  readonly message: string;
  /** Why no status came from a server; null when one did. */
  readonly cause: AsyncFailure | null;
}

const defaultMaxBytes = 4 * 1024 * 1024;
const frameBytes = 5;

/** Calls and tells the encoded answer or the failure, once, never before this returns. */
export function callGrpc(call: GrpcCall, port: AsyncPort, done: (result: Result<Buffer, GrpcFailure>) => void): AsyncCall {
  const headers = new HeaderMap(['te', 'trailers', 'content-type', 'application/grpc', 'grpc-timeout', grpcTimeout(call.timeoutMs)]);
  for (const [name, value] of call.metadata) headers.add(name, value);
  const head = new RequestHead('POST', call.path, call.authority === '' ? call.cluster : call.authority, headers, 'http', 'HTTP/2');
  const maxBytes = call.maxBytes ?? defaultMaxBytes;
  const request = { cluster: call.cluster, head, body: grpcFrame(call.message), timeoutMs: call.timeoutMs, maxBytes: maxBytes + frameBytes, ...(call.repeatable === undefined ? {} : { repeatable: call.repeatable }) };
  return sendAsync(request, port, (result) => done(result.ok ? readGrpcAnswer(result.value) : err(failureOf(result.error))));
}

/** A message as a call's body: length-prefixed, not compressed. */
export function grpcFrame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(frameBytes + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, frameBytes);
  return framed;
}

/** The value of grpc-timeout: at most eight digits and a unit, rounded up. */
export function grpcTimeout(ms: number): string {
  if (ms < 99_999_999) return `${Math.max(1, Math.ceil(ms))}m`;
  return `${Math.min(99_999_999, Math.ceil(ms / 1000))}S`;
}

/** The message of a unary call's answer, or its status. */
export function readGrpcAnswer({ status, head, body, trailers }: AsyncAnswer): Result<Buffer, GrpcFailure> {
  // Trailers-only answers have theirs in the head.
  const from = trailers?.has('grpc-status') === true ? trailers : head.headers;
  const text = from.get('grpc-status');
  if (text === null) return err(status === 200 ? own(2, 'the answer has no grpc-status') : own(grpcFromHttp(status), `the answer has HTTP status ${status}`));
  if (!/^\d{1,3}$/.test(text)) return err(own(2, 'the answer has a grpc-status that is no number'));
  const code = Number(text);
  if (code !== 0) return err(own(code, percentDecode(from.get('grpc-message') ?? '')));
  if (status !== 200) return err(own(grpcFromHttp(status), `the answer has HTTP status ${status}`));
  return readFrame(body);
}

function readFrame(body: Buffer): Result<Buffer, GrpcFailure> {
  if (body.length < frameBytes || body.readUInt32BE(1) !== body.length - frameBytes) return err(own(13, 'the answer is not one whole message'));
  if (body[0] !== 0) return err(own(12, 'the answer is compressed, which was not offered'));
  return ok(body.subarray(frameBytes));
}

function own(status: number, message: string): GrpcFailure {
  return { status, message, cause: null };
}

function failureOf(cause: AsyncFailure): GrpcFailure {
  const status = cause.kind === 'timeout' ? 4 : cause.kind === 'too-large' || cause.kind === 'overflow' ? 8 : 14;
  return { status, message: cause.detail, cause };
}

/** grpc-message is percent-encoded UTF-8; what does not decode is told as it came. */
function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
