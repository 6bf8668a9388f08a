import { ok } from '@meltemi/base';
import { grpcFromHttp, percentEncode, type HeaderMap, type RequestHead, type ResponseHead } from '@meltemi/http';
import { DataStatus, FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { Base64Decoder, FrameEncoder } from './base64.ts';

/**
 * Lets browsers speak gRPC: trailers come as a last frame of the body, and both bodies may be base64 text. Source: gRPC's PROTOCOL-WEB.
 * Deviation: an answer of this proxy itself is told by grpc-status and grpc-message with HTTP status 200, as to any gRPC client; Envoy's has
 * the HTTP status of the answer besides.
 */
export const grpcWebFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.grpc_web',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse: () => ok({}),
  bind: () => ({
    events: FilterEvents.decodeHead | FilterEvents.decodeData | FilterEvents.decodeEnd | FilterEvents.encodeHead | FilterEvents.encodeData | FilterEvents.encodeEnd,
    create(stream) {
      const type = stream.request.headers.get('content-type');
      return type !== null && types.has(type) ? new GrpcWebStream() : null;
    },
  }),
};

const types: ReadonlySet<string> = new Set(['application/grpc-web', 'application/grpc-web+proto', 'application/grpc-web-text', 'application/grpc-web-text+proto']);
const isText = (type: string | null) => type?.startsWith('application/grpc-web-text') === true && types.has(type);

/** Bytes of a body that is not gRPC's that become the message. */
const maxMessageBytes = 16_384;
const trailersFrame = 0x80;

class GrpcWebStream extends HttpStreamFilter {
  #decoder: Base64Decoder | null = null;
  #encoder: FrameEncoder | null = null;
  /** The start of a body that is not gRPC's; null while the response is. */
  #foreign: Buffer[] | null = null;
  #foreignBytes = 0;
  #failed = false;

  override decodeHead(_stream: StreamControls, { headers }: RequestHead): number {
    // It says the length of what is decoded, or lacks the trailers.
    headers.remove('content-length');
    if (isText(headers.get('content-type'))) this.#decoder = new Base64Decoder();
    if (isText(headers.get('accept'))) this.#encoder = new FrameEncoder();
    headers.set('content-type', 'application/grpc');
    headers.set('te', 'trailers');
    if (!headers.has('grpc-accept-encoding')) headers.set('grpc-accept-encoding', 'identity');
    return FilterStatus.continue;
  }

  override decodeData(stream: StreamControls, buffer: Buffer, start: number, end: number): number {
    if (this.#decoder === null) return DataStatus.continue;
    if (this.#failed) return DataStatus.taken;
    const decoded = this.#decoder.decode(buffer, start, end);
    if (decoded === null) this.#refuse(stream, 'grpc_base_64_decode_failed');
    else if (decoded.length > 0) stream.injectRequestData(this, decoded, 0, decoded.length);
    return DataStatus.taken;
  }

  override decodeEnd(stream: StreamControls): number {
    if (this.#failed) return DataStatus.taken;
    if (this.#decoder?.complete !== false) return DataStatus.continue;
    this.#refuse(stream, 'grpc_base_64_decode_failed_bad_size');
    return DataStatus.taken;
  }

  override encodeHead(_stream: StreamControls, head: ResponseHead, endStream: boolean): number {
    const { headers } = head;
    const foreign = !endStream && !isGrpcAnswer(head);
    headers.remove('content-length');
    headers.set('content-type', this.#encoder === null ? 'application/grpc-web+proto' : 'application/grpc-web-text+proto');
    if (!foreign) return FilterStatus.continue;
    this.#foreign = [];
    return FilterStatus.stopAndBuffer;
  }

  override encodeData(stream: StreamControls, buffer: Buffer, start: number, end: number): number {
    if (this.#foreign !== null) {
      const room = Math.min(end - start, maxMessageBytes - this.#foreignBytes);
      if (room > 0) this.#foreign.push(Buffer.from(buffer.subarray(start, start + room)));
      this.#foreignBytes += room;
      stream.discardHeldResponse();
      return DataStatus.continue;
    }
    if (this.#encoder === null) return DataStatus.continue;
    this.#send(stream, this.#encoder.encode(buffer, start, end));
    return DataStatus.taken;
  }

  override encodeEnd(stream: StreamControls, trailers: HeaderMap | null): number {
    if (this.#foreign !== null) {
      this.#tellForeign(stream, Buffer.concat(this.#foreign));
      return DataStatus.continue;
    }
    if (trailers === null) return DataStatus.continue;
    // What reads the stream's end afterwards (statistics, access log) finds the status here.
    stream.info.responseTrailers = trailers.flat;
    const frame = frameOf(trailers);
    this.#send(stream, this.#encoder === null ? frame : this.#encoder.encode(frame, 0, frame.length));
    stream.injectResponseEnd(this, null);
    return DataStatus.taken;
  }

  #send(stream: StreamControls, bytes: Buffer): void {
    if (bytes.length > 0) stream.injectResponseData(this, bytes, 0, bytes.length);
  }

  /** The body becomes the message of a status that follows from the HTTP status. */
  #tellForeign(stream: StreamControls, body: Buffer): void {
    this.#foreign = null;
    const head = stream.response;
    if (head !== null) {
      head.headers.set('grpc-status', String(grpcFromHttp(head.status)));
      head.headers.set('grpc-message', percentEncode(body.toString()).replaceAll('%20', ' '));
      head.headers.set('content-length', '0');
    }
    stream.discardHeldResponse();
    stream.continueResponse();
  }

  #refuse(stream: StreamControls, details: string): void {
    this.#failed = true;
    stream.sendLocalReply({ status: 400, body: 'Bad gRPC-web request, invalid base64 data.', details });
  }
}

function isGrpcAnswer({ status, headers }: ResponseHead): boolean {
  const type = (headers.get('content-type')?.split(';', 1)[0] ?? '').trim().toLowerCase();
  return status === 200 && (type === 'application/grpc' || type.startsWith('application/grpc+') || type === 'application/grpc-web' || type === 'application/grpc-web+proto');
}

function frameOf(trailers: HeaderMap): Buffer {
  let text = '';
  for (const [name, value] of trailers) text += `${name}:${value}\r\n`;
  const frame = Buffer.alloc(5 + text.length);
  frame[0] = trailersFrame;
  frame.writeUInt32BE(text.length, 1);
  frame.write(text, 5, 'latin1');
  return frame;
}
