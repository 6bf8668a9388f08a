import { Http2Error, type Http2CodecError } from '../../codec/http2/errors.ts';
import { FrameReader, type FrameSink } from '../../codec/http2/frame-reader.ts';
import { frame, headers, settings } from '../http2-wire.ts';
import type { Draw } from './draw.ts';
import { same, type FuzzTarget } from './target.ts';

const get = [':method', 'GET', ':scheme', 'http', ':path', '/a', ':authority', 'a.example'];

const frameSizeError = `error ${Http2Error.frameSize}`;
const protocolError = `error ${Http2Error.protocol}`;

/** What a reader of frames tells, in words; parts of one DATA frame joined. */
class Told implements FrameSink {
  readonly lines: string[] = [];

  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    this.lines.push(`frame ${type} ${flags} ${streamId} ${buffer.toString('latin1', start, end)}`);
    return true;
  }

  onDataBegin(streamId: number, flags: number, length: number): boolean {
    this.lines.push(`data ${streamId} ${flags} ${length} `);
    return true;
  }

  onDataPart(buffer: Buffer, start: number, end: number): boolean {
    this.lines[this.lines.length - 1] += buffer.toString('latin1', start, end);
    return true;
  }

  onDataEnd(): boolean {
    this.lines.push('end of data');
    return true;
  }

  onFrameError({ code }: Http2CodecError): void {
    this.lines.push(`error ${code}`);
  }
}

/** The second opinion: RFC 9113 §4.1 and §6.1 word by word, over bytes that are all there. */
function expected(input: Buffer): string {
  const lines: string[] = [];
  for (let at = 0; at + 9 <= input.length; ) {
    const length = input.readUIntBE(at, 3);
    const [type, flags, stream] = [input.readUInt8(at + 3), input.readUInt8(at + 4), input.readUInt32BE(at + 5) & 0x7fffffff];
    const payload = input.subarray(at + 9, at + 9 + length);
    const whole = payload.length === length;
    at += 9 + length;
    if (length > 16_384) return [...lines, frameSizeError].join('\n');
    if (type !== 0) {
      if (whole) lines.push(`frame ${type} ${flags} ${stream} ${payload.toString('latin1')}`);
      continue;
    }
    const padded = (flags & 8) !== 0;
    if (padded && length === 0) return [...lines, frameSizeError].join('\n');
    const padding = padded ? (payload[0] ?? 0) : 0;
    if (padded && payload.length > 0 && padding > length - 1) return [...lines, `data ${stream} ${flags} ${length} `, protocolError].join('\n');
    lines.push(`data ${stream} ${flags} ${length} ${payload.toString('latin1', padded ? 1 : 0, Math.min(payload.length, length - padding))}`);
    if (whole) lines.push('end of data');
  }
  return lines.join('\n');
}

function told(input: Buffer, draw: Draw | null): string {
  const sink = new Told();
  const reader = new FrameReader(sink);
  for (let at = 0; at < input.length; ) {
    const end = draw === null ? input.length : Math.min(input.length, at + 1 + draw.below(draw.below(3) === 0 ? 2 : 24));
    // On loan: what is kept of it must be a copy.
    const part = Buffer.from(input.subarray(at, end));
    reader.execute(part, 0, part.length);
    part.fill(0);
    at = end;
  }
  return sink.lines.join('\n');
}

export const http2Frames: FuzzTarget = {
  name: 'http2-frames',
  about: 'frames of HTTP/2: no throw, what a second reader reads, however the bytes are cut',
  seeds: [settings() + headers(1, get, 5), headers(1, get, 4) + frame(0, 0, 1, 'he') + frame(0, 1, 1, 'llo'), frame(0, 8, 1, '\x03ab\0\0\0') + frame(0, 9, 3, '\0x'), frame(6, 0, 0, '12345678') + frame(8, 0, 0, '\0\0\x10\0') + frame(3, 0, 1, '\0\0\0\x08'), frame(0, 8, 1, '\x00') + frame(0xfa, 0xff, 0x7fffffff, '')],
  words: ['\0\0\0', '\0\0\x01', '\0\x40\0', '\0\x40\x01', '\xff\xff\xff', '\0\x08\0\0\0\x01', '\0\x00\x80\0\0\x01', frame(0, 8, 1, '\xff'), frame(0, 8, 1, ''), frame(0, 0, 1, ''), frame(9, 4, 1, ''), frame(7, 0, 0, '\0\0\0\x01\0\0\0\0')],
  check: (input, draw) => {
    const right = expected(input);
    same('the second reader reads otherwise', told(input, null), right);
    same('cut otherwise it says', told(input, draw), right);
  },
};
