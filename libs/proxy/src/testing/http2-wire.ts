import { ManualClock, seededRandom } from '@meltemi/base';
import type { HeaderMap } from '@meltemi/http';
import type { Http2CodecOptions } from '../codec/http2/options.ts';
import { HpackDecoder } from '../codec/http2/hpack/decoder.ts';
import type { HpackEncoder } from '../codec/http2/hpack/encoder.ts';
import type { Wire } from './wire.ts';

/** One frame as tests read it. */
export interface ReadFrame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** Bytes of a frame as latin1 text, as `Wire` takes them. */
export function frame(type: number, flags: number, id: number, payload: Buffer | string | readonly number[] = ''): string {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return head.toString('latin1') + body.toString('latin1');
}

export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** SETTINGS of these identifiers and values. */
export function settings(...pairs: readonly number[]): string {
  const payload = Buffer.alloc(pairs.length * 3);
  for (let i = 0; i < pairs.length; i += 2) {
    payload.writeUInt16BE(pairs[i] ?? 0, i * 3);
    payload.writeUInt32BE(pairs[i + 1] ?? 0, i * 3 + 2);
  }
  return frame(4, 0, 0, payload);
}

/** A block of literal fields that touches no table: name, value, …. */
export function literals(...flat: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < flat.length; i += 2) parts.push(Buffer.from([0]), text(flat[i] ?? ''), text(flat[i + 1] ?? ''));
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  const length = bytes.length < 127 ? [bytes.length] : [127, ((bytes.length - 127) & 127) | 128, (((bytes.length - 127) >> 7) & 127) | 128, (bytes.length - 127) >> 14];
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** The fields of a usual GET. */
export const getFields: readonly string[] = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a.example'];

/** HEADERS of these fields; flags default to END_STREAM | END_HEADERS. */
export function headers(id: number, fields: readonly string[] = getFields, flags = 5): string {
  return frame(1, flags, id, literals(...fields));
}

/** Takes the frames sent so far off a wire. `skip`: bytes before the first, the preface of a client. */
export function takeFrames(wire: Wire, skip = 0): ReadFrame[] {
  const bytes = Buffer.from(wire.sent, 'latin1');
  wire.sent = '';
  const frames: ReadFrame[] = [];
  for (let at = skip; at < bytes.length; ) {
    const length = bytes.readUIntBE(at, 3);
    frames.push({ type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, id: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + 9, at + 9 + length) });
    at += 9 + length;
  }
  return frames;
}

const typeNames = ['DATA', 'HEADERS', 'PRIORITY', 'RST_STREAM', 'SETTINGS', 'PUSH_PROMISE', 'PING', 'GOAWAY', 'WINDOW_UPDATE', 'CONTINUATION'];

/** Frames in words: "HEADERS 1 end :status=200", "DATA 1 4", "RST_STREAM 1 8", "GOAWAY 1 11". Keeps the peer's decompression state. */
export class FrameTeller {
  readonly #decoder = new HpackDecoder();

  tell(frames: readonly ReadFrame[]): string[] {
    return frames.map((each) => this.#one(each));
  }

  #one(each: ReadFrame): string {
    const { type, flags, id, payload } = each;
    const end = (type === 0 || type === 1) && (flags & 1) !== 0 ? ' end' : '';
    const name = typeNames[type] ?? String(type);
    if (type === 1) return `${name} ${id}${end} ${this.#fields(payload)}`;
    if (type === 0) return `${name} ${id}${end} ${payload.length}`;
    if (type === 3 || type === 8) return `${name} ${id} ${payload.readUInt32BE(0)}`;
    if (type === 7) return `${name} ${payload.readUInt32BE(0)} ${payload.readUInt32BE(4)}`;
    return (flags & 1) !== 0 ? `${name} ack` : name;
  }

  #fields(block: Buffer): string {
    const seen: string[] = [];
    this.#decoder.decode(block, 0, block.length, { onField: (field, value) => seen.push(`${field.name}=${value}`) });
    return seen.join(' ');
  }
}

/** A block as our own encoder makes it. */
export function encoded(encoder: HpackEncoder, fields: HeaderMap): Buffer {
  encoder.begin();
  for (const [name, value] of fields) encoder.field(name, value);
  return Buffer.from(encoder.buffer.subarray(0, encoder.at));
}

export interface TestOptions extends Http2CodecOptions {
  readonly clock: ManualClock;
}

/** Envoy's limits, small windows, a clock that moves when told. */
export function testOptions(http2: Partial<Http2CodecOptions['http2']> = {}, limits = { maxHeadBytes: 60 * 1024, maxFields: 100 }): TestOptions {
  const clock = new ManualClock();
  return {
    http2: {
      hpackTableSize: 4096, maxConcurrentStreams: 100, initialStreamWindow: 65_535, initialConnectionWindow: 65_535, allowConnect: false, keepaliveIntervalMs: 0,
      keepaliveTimeoutMs: 0, keepaliveJitterPercent: 15, connectionIdleIntervalMs: 0, maxOutboundFrames: 10_000, maxOutboundControlFrames: 1000,
      maxConsecutiveEmptyFrames: 1, maxPriorityFramesPerStream: 100, maxWindowUpdatesPerDataFrame: 10, streamErrorOnMalformed: false, ...http2,
    },
    limits,
    lingerMs: 1000,
    random: seededRandom(1),
    now: () => clock.monotonic(),
    after: (delayMs, task) => clock.after(delayMs, task),
    clock,
  };
}
