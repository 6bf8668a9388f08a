import { err, fail, ok, type Result } from '@meltemi/base';
import { Buffer as BufferMessage, BufferPerRoute } from '@meltemi/api/gen/envoy/extensions/filters/http/buffer/v3/buffer.ts';
import type { HeaderMap, RequestHead } from '@meltemi/http';
import { use, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { checkSettings } from '../../check-settings.ts';

/** What a buffer config compiles to. */
export interface BufferConfig {
  /** More is answered with 413. */
  readonly maxRequestBytes: number;
}

/** Waits for the whole request before anything of it goes on, so that upstreams get it in one piece with its length known. */
export const bufferFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.buffer',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer'],
  routeTypeUrls: ['type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse: (bytes, ctx) => compile(BufferMessage.decode(bytes), ctx),
  parseRoute,
  bind(config, ctx) {
    const base = config as BufferConfig;
    return {
      events: FilterEvents.decodeHead | FilterEvents.decodeData | FilterEvents.decodeEnd,
      create(stream) {
        if (stream.requestComplete) return null;
        const own = stream.perRoute(ctx.filterName) as BufferConfig | 'disabled' | null;
        return own === 'disabled' ? null : new BufferStream(own ?? base);
      },
    };
  },
};

const settings: FieldTable<BufferMessage> = { maxRequestBytes: use };

function compile(message: BufferMessage, ctx: Pick<ParseContext, 'path' | 'warn'>): Result<BufferConfig> {
  const errors = checkSettings(message, settings, ctx);
  if (errors.length > 0) return err(errors);
  const { maxRequestBytes } = message;
  if (maxRequestBytes === undefined || maxRequestBytes === 0) return fail(`${ctx.path}.max_request_bytes`, 'is required, and more than 0');
  return ok({ maxRequestBytes });
}

function parseRoute(bytes: Uint8Array, ctx: ParseContext): Result<BufferConfig | 'disabled' | null> {
  const { override } = BufferPerRoute.decode(bytes);
  if (override?.$case === 'buffer') return compile(override.value, { path: `${ctx.path}.buffer`, warn: (path, message) => ctx.warn(path, message) });
  if (override !== undefined && !override.value) return fail(`${ctx.path}.disabled`, 'can only be true');
  // Deviation: Envoy refuses settings that say neither; they change nothing.
  return ok(override === undefined ? null : 'disabled');
}

class BufferStream extends HttpStreamFilter {
  readonly #config: BufferConfig;
  #head: RequestHead | null = null;
  #bytes = 0;

  constructor(config: BufferConfig) {
    super();
    this.#config = config;
  }

  override decodeHead(stream: StreamControls, head: RequestHead, endStream: boolean): number {
    // An upgraded connection has no end to wait for.
    if (endStream || head.headers.has('upgrade') || head.method === 'CONNECT') return FilterStatus.continue;
    this.#head = head;
    stream.requestBufferLimit = this.#config.maxRequestBytes;
    return FilterStatus.stopAndBuffer;
  }

  override decodeData(_stream: StreamControls, _buffer: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
  }

  override decodeEnd(stream: StreamControls, trailers: HeaderMap | null): void {
    const head = this.#head;
    this.#head = null;
    if (head === null) return;
    // A body with trailers stays chunked: no length would leave room for them.
    if (trailers === null && !head.headers.has('content-length')) head.headers.set('content-length', String(this.#bytes));
    stream.continueRequest();
  }
}
