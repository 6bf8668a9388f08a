import { fromWire, grpcFromHttp, HeaderMap, isGrpc, percentEncode, ResponseHead, type StreamInfo } from '@meltemi/http';
import { applyHeaderOps } from '@meltemi/route';
import type { HcmConfig, LocalReplyBody } from '@meltemi/snapshot';
import type { LocalReply } from '../filter.ts';

/** A finished answer of our own. */
export interface BuiltReply {
  readonly head: ResponseHead;
  readonly body: Buffer;
}

/** Builds the head and body of a local reply: mapped by local_reply_config, or as trailers-only for gRPC clients. */
export function buildLocalReply(config: HcmConfig, info: StreamInfo, reply: LocalReply, random: number): BuiltReply {
  // Filters of mappers look at the code.
  info.responseCode = reply.status;
  const mapper = config.localReply?.mappers.find(({ filter }) => filter.evaluate(info, random));
  const status = mapper?.status ?? reply.status;
  const headers = new HeaderMap();
  // What cannot be trusted to be framed as it seems ends its connection, as in Envoy.
  if (reply.status === 400 && !config.streamErrorOnInvalidMessage && info.request?.protocol.startsWith('HTTP/1') === true) headers.add('connection', 'close');
  for (const [name, value] of reply.headers ?? []) headers.add(name, value);
  const type = headers.get('content-type');
  if (mapper !== undefined) applyHeaderOps(mapper.headers, headers, info);
  info.responseCode = status;
  const format = mapper?.bodyFormat ?? config.localReply?.body ?? null;
  const body = formatted(format, info, mapper?.body ?? reply.body);
  const head = new ResponseHead(status, headers);
  if (info.request !== null && isGrpc(info.request)) {
    head.status = 200;
    headers.set('content-type', 'application/grpc');
    if (!headers.has('grpc-status')) headers.add('grpc-status', String(reply.grpcStatus ?? grpcFromHttp(status)));
    if (body.length > 0) headers.set('grpc-message', percentEncode(body.toString()).replaceAll('%20', ' '));
    headers.remove('content-length');
    return { head, body: Buffer.alloc(0) };
  }
  if (body.length > 0) {
    headers.set('content-length', String(body.length));
    // What was made anew is of another type, unless that was said anew, too.
    const anew = headers.get('content-type') === type && !body.equals(bytesOf(reply.body));
    if (anew || !headers.has('content-type')) headers.set('content-type', format?.contentType ?? 'text/plain');
  } else {
    headers.remove('content-length');
    headers.remove('content-type');
  }
  return { head, body };
}

function formatted(format: LocalReplyBody | null, info: StreamInfo, text: string | Buffer): Buffer {
  if (format === null) return bytesOf(text);
  info.localReplyBody = String(text);
  return Buffer.from(fromWire(format.formatter.format(info)));
}

function bytesOf(text: string | Buffer): Buffer {
  return typeof text === 'string' ? Buffer.from(text) : text;
}
