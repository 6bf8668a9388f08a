import { ok } from '@meltemi/base';
import { Config } from '@meltemi/api/gen/envoy/extensions/filters/http/grpc_http1_bridge/v3/config.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { DataStatus, FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import type { HeldBody } from '../../../http/held-body.ts';

/** What a grpc_http1_bridge config compiles to. */
export interface GrpcBridgeConfig {
  /** Bodies of application/x-protobuf become gRPC messages on the way, and messages become bodies on the way back. */
  readonly framesProtobuf: boolean;
  readonly dropsQuery: boolean;
}

/**
 * Lets HTTP/1.1 clients without trailers call unary gRPC methods: the answer waits for its trailers, whose status goes into the head, and what is
 * not 0 becomes 503. Source: Envoy's grpc_http1_bridge. Statistics are those of grpc_stats, as Envoy advises.
 */
export const grpcHttp1BridgeFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.grpc_http1_bridge',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.grpc_http1_bridge.v3.Config'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse(bytes) {
    const { upgradeProtobufToGrpc, ignoreQueryParameters } = Config.decode(bytes);
    return ok<GrpcBridgeConfig>({ framesProtobuf: upgradeProtobufToGrpc, dropsQuery: ignoreQueryParameters });
  },
  bind(config) {
    const own = config as GrpcBridgeConfig;
    return {
      events: FilterEvents.decodeHead | FilterEvents.decodeEnd | FilterEvents.encodeHead | FilterEvents.encodeEnd,
      create({ request, requestComplete }) {
        const type = request.headers.get('content-type');
        if (type === null) return null;
        // A message of no bytes has no body to put a frame in front of.
        if (own.framesProtobuf && type === protobuf && !requestComplete) return new BridgedStream(own, true);
        return request.protocol !== 'HTTP/2' && isGrpc(type) ? new BridgedStream(own, false) : null;
      },
    };
  },
};

const protobuf = 'application/x-protobuf';
const frameHeadBytes = 5;

const isGrpc = (type: string) => type === 'application/grpc' || type.startsWith('application/grpc+');

class BridgedStream extends HttpStreamFilter {
  readonly #config: GrpcBridgeConfig;
  readonly #framed: boolean;
  #gathering = false;

  constructor(config: GrpcBridgeConfig, framed: boolean) {
    super();
    this.#config = config;
    this.#framed = framed;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const query = this.#config.dropsQuery ? head.path.indexOf('?') : -1;
    if (query >= 0) {
      head.path = head.path.slice(0, query);
      stream.clearRoute();
    }
    if (!this.#framed) return FilterStatus.continue;
    head.headers.set('content-type', 'application/grpc');
    head.headers.set('te', 'trailers');
    head.headers.remove('content-length');
    this.#gathering = true;
    return FilterStatus.stopAndBuffer;
  }

  override decodeEnd(stream: StreamControls): void {
    if (!this.#gathering) return;
    this.#gathering = false;
    const frame = Buffer.alloc(frameHeadBytes);
    frame.writeUInt32BE(stream.heldRequest?.bytes ?? 0, 1);
    stream.heldRequest?.parts.unshift(frame);
    stream.continueRequest();
  }

  override encodeHead(stream: StreamControls, head: ResponseHead, endStream: boolean): number {
    if (!endStream) return FilterStatus.stopAndBuffer;
    tellStatus(head, head.headers);
    if (this.#framed) this.#unframe(stream, head);
    return FilterStatus.continue;
  }

  override encodeEnd(stream: StreamControls, trailers: HeaderMap | null): number {
    const { response } = stream;
    if (response === null) return DataStatus.continue;
    tellStatus(response, trailers ?? response.headers);
    if (trailers !== null) {
      // What reads the stream's end afterwards (statistics, access log) finds the status here.
      stream.info.responseTrailers = trailers.flat;
      stream.heldResponse?.end(null);
    }
    if (this.#framed) this.#unframe(stream, response);
    response.headers.set('content-length', String(lengthOf(stream.heldResponse)));
    stream.continueResponse();
    return DataStatus.continue;
  }

  /** Takes the frame from around the message, when there is one. */
  #unframe({ heldResponse }: StreamControls, { headers }: ResponseHead): void {
    if (!isGrpc(headers.get('content-type') ?? '')) return;
    headers.set('content-type', protobuf);
    if (heldResponse === null) return;
    const body = Buffer.concat(heldResponse.parts);
    heldResponse.parts.splice(0, Infinity, body.subarray(Math.min(frameHeadBytes, body.length)));
  }
}

const lengthOf = (held: HeldBody | null) => (held === null ? 0 : held.parts.reduce((sum, part) => sum + part.length, 0));

function tellStatus(head: ResponseHead, fields: HeaderMap): void {
  const status = fields.get('grpc-status');
  if (status === null) return;
  if (Number(status) !== 0) head.status = 503;
  head.headers.set('grpc-status', status);
  const message = fields.get('grpc-message');
  if (message !== null) head.headers.set('grpc-message', message);
}
