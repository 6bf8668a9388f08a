import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { DataStatus, FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { BodyCoder } from '../body-coder.ts';
import { chooseEncoding, type EncodingReason } from './accept-encoding.ts';
import { createEncoder } from './libraries.ts';
import { longEnough, parseCompressor, parseCompressorRoute, rightType, type CompressorConfig, type CompressorOverrides, type DirectionConfig } from './settings.ts';

/**
 * Compresses responses for clients that take it, and requests where configured. Several of them in one chain agree on what the client likes best.
 * Deviation: parts of a resource (206) are never compressed: their ranges would no longer hold.
 */
export const compressorFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.compressor',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor'],
  routeTypeUrls: ['type.googleapis.com/envoy.extensions.filters.http.compressor.v3.CompressorPerRoute'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse: parseCompressor,
  parseRoute: parseCompressorRoute,
  bind(config, ctx) {
    const shared = new Shared(config as CompressorConfig, ctx);
    return {
      events: FilterEvents.decodeHead | FilterEvents.decodeData | FilterEvents.decodeEnd | FilterEvents.encodeHead | FilterEvents.encodeData | FilterEvents.encodeEnd | FilterEvents.destroy,
      create(stream) {
        const own = stream.perRoute(ctx.filterName) as CompressorOverrides | null;
        return own?.disabled === true ? null : new CompressorStream(shared, own?.removeAcceptEncoding ?? shared.config.removeAcceptEncoding);
      },
    };
  },
};

interface Count {
  inc(by?: number): void;
}

interface DirectionStats {
  readonly compressed: Count;
  readonly notCompressed: Count;
  readonly tooShort: Count;
  readonly bytesIn: Count;
  readonly bytesOut: Count;
}

class Shared {
  readonly config: CompressorConfig;
  readonly request: DirectionStats;
  readonly response: DirectionStats;
  readonly reasons: Readonly<Record<EncodingReason, Count>>;
  readonly overshadowed: Count;
  readonly etag: Count;

  constructor(config: CompressorConfig, ctx: FilterContext) {
    this.config = config;
    const count = (name: string) => ctx.stats.counter(`http.${ctx.hcm.statPrefix}.compressor.${config.library.statName}.${name}`);
    const of = (prefix: string): DirectionStats => ({
      compressed: count(`${prefix}compressed`), notCompressed: count(`${prefix}not_compressed`), tooShort: count(`${prefix}content_length_too_small`),
      bytesIn: count(`${prefix}total_uncompressed_bytes`), bytesOut: count(`${prefix}total_compressed_bytes`),
    });
    this.request = of('request.');
    this.response = of(config.response.statPrefix);
    this.reasons = {
      header_compressor_used: count('header_compressor_used'), header_wildcard: count('header_wildcard'), header_identity: count('header_identity'),
      header_not_valid: count('header_not_valid'), no_accept_header: count('no_accept_header'),
    };
    this.overshadowed = count('header_compressor_overshadowed');
    this.etag = count('not_compressed_etag');
  }
}

/** As the status header says it; the first one is never said. */
type Obstacle = 'NotOurs' | 'ContentLengthTooSmall' | 'ContentTypeNotAllowed' | 'EtagNotAllowed' | 'StatusCodeNotAllowed';

/** Filter state in which the compressors of a chain find each other. */
const chainKey = 'meltemi.compressors';

class CompressorStream extends HttpStreamFilter {
  readonly #shared: Shared;
  readonly #removeAcceptEncoding: boolean;
  #accepts: string | null = null;
  #request: BodyCoder | null = null;
  #response: BodyCoder | null = null;

  constructor(shared: Shared, removeAcceptEncoding: boolean) {
    super();
    this.#shared = shared;
    this.#removeAcceptEncoding = removeAcceptEncoding;
  }

  override decodeHead(stream: StreamControls, head: RequestHead, endStream: boolean): number {
    const { config, request: stats } = this.#shared;
    const { headers } = head;
    this.#accepts = headers.getAll('accept-encoding');
    const chain = stream.info.filterState?.get(chainKey) as CompressorConfig[] | undefined;
    if (chain === undefined) stream.info.setFilterState(chainKey, [config]);
    else chain.push(config);
    if (config.response.enabled && this.#removeAcceptEncoding) headers.remove('accept-encoding');
    const { request } = config;
    if (request === null) return FilterStatus.continue;
    if (endStream || !request.enabled || !worthIt(request, headers, stats)) {
      stats.notCompressed.inc();
      return FilterStatus.continue;
    }
    stats.compressed.inc();
    headers.remove('content-length');
    headers.set('content-encoding', config.library.encoding);
    this.#request = new BodyCoder(createEncoder(config.library), config.library.flush, {
      onData: (part) => {
        stats.bytesOut.inc(part.length);
        stream.injectRequestData(this, part, 0, part.length);
      },
      onEnd: (trailers) => stream.injectRequestEnd(this, trailers),
      onFailure: () => stream.resetStream(),
      hold: () => stream.holdRequestBody(),
      release: () => stream.releaseRequestBody(),
    });
    return FilterStatus.continue;
  }

  override decodeData(_stream: StreamControls, buffer: Buffer, start: number, end: number): number {
    if (this.#request === null) return DataStatus.continue;
    this.#shared.request.bytesIn.inc(end - start);
    this.#request.data(buffer, start, end);
    return DataStatus.taken;
  }

  override decodeEnd(_stream: StreamControls, trailers: HeaderMap | null): number {
    if (this.#request === null) return DataStatus.continue;
    this.#request.end(trailers);
    return DataStatus.taken;
  }

  override encodeHead(stream: StreamControls, head: ResponseHead, endStream: boolean): number {
    const { config, response: stats } = this.#shared;
    const { headers } = head;
    const obstacle = this.#obstacle(stream, head);
    if (obstacle === 'ContentLengthTooSmall') stats.tooShort.inc();
    else if (obstacle === 'EtagNotAllowed') this.#shared.etag.inc();
    const chosen = !endStream && obstacle === null && this.#chosen(stream, head);
    if (obstacle === null) addVary(headers);
    if (config.tellsStatus && !endStream && obstacle !== 'NotOurs') {
      const outcome = chosen ? `Compressed;OriginalLength=${headers.get('content-length') ?? ''}` : obstacle;
      if (outcome !== null) headers.add('x-envoy-compression-status', `${config.library.encoding};${outcome}`);
    }
    if (!chosen) {
      stats.notCompressed.inc();
      return FilterStatus.continue;
    }
    stats.compressed.inc();
    const etag = headers.get('etag');
    // A strong one says these very bytes.
    if (etag !== null && !/^w\//i.test(etag)) headers.remove('etag');
    headers.remove('content-length');
    headers.set('content-encoding', config.library.encoding);
    this.#response = new BodyCoder(createEncoder(config.library), config.library.flush, {
      onData: (part) => {
        stats.bytesOut.inc(part.length);
        stream.injectResponseData(this, part, 0, part.length);
      },
      onEnd: (trailers) => stream.injectResponseEnd(this, trailers),
      onFailure: () => stream.resetStream(),
      hold: () => stream.holdResponseBody(),
      release: () => stream.releaseResponseBody(),
    });
    return FilterStatus.continue;
  }

  override encodeData(_stream: StreamControls, buffer: Buffer, start: number, end: number): number {
    if (this.#response === null) return DataStatus.continue;
    this.#shared.response.bytesIn.inc(end - start);
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

  /** Why an answer stays as it is, whatever the client takes; null when nothing speaks against it. */
  #obstacle(stream: StreamControls, { headers, status }: ResponseHead): Obstacle | null {
    const { response, leftCodes, skipEtags } = this.#shared.config;
    if (!response.enabled || status === 101 || stream.request.method === 'CONNECT' || headers.has('content-encoding') || hasToken(headers.getAll('cache-control'), 'no-transform')) return 'NotOurs';
    if (!longEnough(response, headers)) return 'ContentLengthTooSmall';
    if (!rightType(response, headers)) return 'ContentTypeNotAllowed';
    if (skipEtags && headers.has('etag')) return 'EtagNotAllowed';
    return status === 206 || leftCodes.has(status) ? 'StatusCodeNotAllowed' : null;
  }

  /** Whether this compressor is the one the client likes best of those in the chain that would compress this response. */
  #chosen(stream: StreamControls, { headers }: ResponseHead): boolean {
    const { config, reasons, overshadowed } = this.#shared;
    const chain = (stream.info.filterState?.get(chainKey) as CompressorConfig[] | undefined) ?? [config];
    const offers = chain.filter(({ response }) => response.enabled && rightType(response, headers) && longEnough(response, headers));
    const { encoding, reason } = chooseEncoding(this.#accepts, offers.map(({ library, chooseFirst }) => ({ encoding: library.encoding, chooseFirst })));
    const mine = encoding === config.library.encoding;
    (encoding !== null && !mine ? overshadowed : reasons[reason]).inc();
    return mine;
  }
}

/** A request that is not encoded yet, long enough and of a type that gains by it. */
function worthIt(config: DirectionConfig, headers: HeaderMap, stats: DirectionStats): boolean {
  if (headers.has('content-encoding') || !rightType(config, headers)) return false;
  if (longEnough(config, headers)) return true;
  stats.tooShort.inc();
  return false;
}

/** Caches in front must keep both. */
function addVary(headers: HeaderMap): void {
  const vary = headers.getAll('vary');
  if (vary === null || vary === '') headers.set('vary', 'Accept-Encoding');
  else if (vary !== '*' && !hasToken(vary, 'accept-encoding')) headers.set('vary', `${vary}, Accept-Encoding`);
}

function hasToken(value: string | null, token: string): boolean {
  return value !== null && value.split(',').some((part) => part.trim().toLowerCase() === token);
}
