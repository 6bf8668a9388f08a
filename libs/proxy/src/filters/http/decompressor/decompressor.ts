import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { DataStatus, FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { BodyCoder } from '../body-coder.ts';
import { createDecoder, parseDecompressor, type DecompressorConfig, type DirectionConfig } from './settings.ts';

/**
 * Decompresses bodies for upstreams and clients that do not.
 * Deviation: the last encoding of several is undone, the one that was put on last (RFC 9110 §8.4); Envoy takes the first. A body that is broken, or
 * grows beyond the library's ratio, ends its stream.
 */
export const decompressorFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.decompressor',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.decompressor.v3.Decompressor'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse: parseDecompressor,
  bind(config, ctx) {
    const own = config as DecompressorConfig;
    const shared: Shared = { config: own, request: directionStats(ctx, own, 'request'), response: directionStats(ctx, own, 'response') };
    return {
      events: FilterEvents.decodeHead | FilterEvents.decodeData | FilterEvents.decodeEnd | FilterEvents.encodeHead | FilterEvents.encodeData | FilterEvents.encodeEnd | FilterEvents.destroy,
      create: () => new DecompressorStream(shared),
    };
  },
};

interface Count {
  inc(by?: number): void;
}

interface DirectionStats {
  readonly decompressed: Count;
  readonly notDecompressed: Count;
  readonly bytesIn: Count;
  readonly bytesOut: Count;
}

interface Shared {
  readonly config: DecompressorConfig;
  readonly request: DirectionStats;
  readonly response: DirectionStats;
}

function directionStats(ctx: FilterContext, { library }: DecompressorConfig, direction: string): DirectionStats {
  const count = (name: string) => ctx.stats.counter(`http.${ctx.hcm.statPrefix}.decompressor.${library.statName}.${direction}.${name}`);
  return { decompressed: count('decompressed'), notDecompressed: count('not_decompressed'), bytesIn: count('total_compressed_bytes'), bytesOut: count('total_uncompressed_bytes') };
}

/** Bytes that any body may become, however few it came from. */
const freeBytes = 64 * 1024;

/** Decompresses one direction; ends the stream when it becomes too much. */
class Inflation {
  readonly #coder: BodyCoder;
  readonly #stats: DirectionStats;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor({ config: { library } }: Shared, stats: DirectionStats, stream: StreamControls, out: { data(part: Buffer): void; end(trailers: HeaderMap | null): void; hold(): void; release(): void }) {
    this.#stats = stats;
    stats.decompressed.inc();
    this.#coder = new BodyCoder(createDecoder(library), library.flush, {
      onData: (part) => {
        this.#bytesOut += part.length;
        stats.bytesOut.inc(part.length);
        if (this.#bytesOut > freeBytes + this.#bytesIn * library.maxRatio) stream.resetStream();
        else out.data(part);
      },
      onEnd: (trailers) => out.end(trailers),
      onFailure: () => stream.resetStream(),
      hold: () => out.hold(),
      release: () => out.release(),
    });
  }

  data(buffer: Buffer, start: number, end: number): void {
    this.#bytesIn += end - start;
    this.#stats.bytesIn.inc(end - start);
    this.#coder.data(buffer, start, end);
  }

  end(trailers: HeaderMap | null): void {
    this.#coder.end(trailers);
  }

  destroy(): void {
    this.#coder.destroy();
  }
}

class DecompressorStream extends HttpStreamFilter {
  readonly #shared: Shared;
  #request: Inflation | null = null;
  #response: Inflation | null = null;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  override decodeHead(stream: StreamControls, { headers }: RequestHead, endStream: boolean): number {
    const { config, request: stats } = this.#shared;
    const { encoding } = config.library;
    if (config.response.enabled && config.advertise) advertise(headers, encoding);
    if (endStream) return FilterStatus.continue;
    if (!takesOver(config.request, headers, encoding)) {
      stats.notDecompressed.inc();
      return FilterStatus.continue;
    }
    this.#request = new Inflation(this.#shared, stats, stream, {
      data: (part) => stream.injectRequestData(this, part, 0, part.length),
      end: (trailers) => stream.injectRequestEnd(this, trailers),
      hold: () => stream.holdRequestBody(),
      release: () => stream.releaseRequestBody(),
    });
    return FilterStatus.continue;
  }

  override decodeData(_stream: StreamControls, buffer: Buffer, start: number, end: number): number {
    if (this.#request === null) return DataStatus.continue;
    this.#request.data(buffer, start, end);
    return DataStatus.taken;
  }

  override decodeEnd(_stream: StreamControls, trailers: HeaderMap | null): number {
    if (this.#request === null) return DataStatus.continue;
    this.#request.end(trailers);
    return DataStatus.taken;
  }

  override encodeHead(stream: StreamControls, { headers }: ResponseHead, endStream: boolean): number {
    const { config, response: stats } = this.#shared;
    if (endStream) return FilterStatus.continue;
    if (!takesOver(config.response, headers, config.library.encoding)) {
      stats.notDecompressed.inc();
      return FilterStatus.continue;
    }
    this.#response = new Inflation(this.#shared, stats, stream, {
      data: (part) => stream.injectResponseData(this, part, 0, part.length),
      end: (trailers) => stream.injectResponseEnd(this, trailers),
      hold: () => stream.holdResponseBody(),
      release: () => stream.releaseResponseBody(),
    });
    return FilterStatus.continue;
  }

  override encodeData(_stream: StreamControls, buffer: Buffer, start: number, end: number): number {
    if (this.#response === null) return DataStatus.continue;
    this.#response.data(buffer, start, end);
    return DataStatus.taken;
  }

  override encodeEnd(_stream: StreamControls, trailers: HeaderMap | null): number {
    if (this.#response === null) return DataStatus.continue;
    this.#response.end(trailers);
    return DataStatus.taken;
  }

  override destroy(): void {
    this.#request?.destroy();
    this.#response?.destroy();
  }
}

/** Whether the body is in this encoding and may be changed; its fields are changed then. */
function takesOver(config: DirectionConfig, headers: HeaderMap, encoding: string): boolean {
  const encodings = tokens(headers.getAll('content-encoding'));
  if (!config.enabled || encodings.at(-1) !== encoding) return false;
  if (!config.ignoreNoTransform && tokens(headers.getAll('cache-control')).includes('no-transform')) return false;
  headers.remove('content-length');
  headers.remove('content-encoding');
  if (encodings.length > 1) headers.set('content-encoding', encodings.slice(0, -1).join(', '));
  return true;
}

function advertise(headers: HeaderMap, encoding: string): void {
  const accepted = headers.getAll('accept-encoding');
  if (accepted === null || accepted === '') headers.set('accept-encoding', encoding);
  else if (!tokens(accepted).includes(encoding)) headers.set('accept-encoding', `${accepted},${encoding}`);
}

/** Without their parameters, in lower case. */
function tokens(value: string | null): string[] {
  return value === null ? [] : value.split(',').map((part) => (part.split(';', 1)[0] ?? '').trim().toLowerCase());
}
