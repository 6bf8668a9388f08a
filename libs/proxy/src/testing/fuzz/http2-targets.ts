import { RequestHead } from '@meltemi/http';
import { preface } from '../../codec/http2/frames.ts';
import { HpackDecoder } from '../../codec/http2/hpack/decoder.ts';
import { clientSide, serverSide } from '../http2-sides.ts';
import { frame, headers, settings, testOptions } from '../http2-wire.ts';
import type { Draw } from './draw.ts';
import { same, type FuzzTarget } from './target.ts';

const request = [':method', 'GET', ':scheme', 'http', ':path', '/a', ':authority', 'a.example', 'cookie', 'a=1', 'cookie', 'b=2'];
const post = [':method', 'POST', ':scheme', 'http', ':path', '/b', ':authority', 'a.example', 'content-length', '5'];
/** What lies between good frames: each kind, flags, sizes at the edge. */
const words = [
  settings(), frame(4, 1, 0), frame(6, 0, 0, '12345678'), frame(8, 0, 0, '\0\0\x10\0'), frame(8, 0, 1, '\0\0\x10\0'), frame(3, 0, 1, '\0\0\0\x08'), frame(7, 0, 0, '\0\0\0\x01\0\0\0\0'), frame(2, 0, 1, '\0\0\0\0\x0f'),
  frame(0, 0, 1, 'hello'), frame(0, 1, 1, ''), frame(0, 8, 1, '\x02ab\0\0'), frame(9, 4, 1, ''), headers(3, request, 5), headers(1, ['x-trailer', 't'], 5), frame(0xfa, 0, 0, 'unknown'), '\0\0\0', '\xff\xff\xff', '\x7f\xff\xff\xff',
];

interface Side {
  readonly wire: { closed: boolean; receive(text: string): void };
  readonly seen: readonly string[];
}

/**
 * What a codec tells of the bytes, cut or whole. Cuts decide how much of a frame is told before its end turns out wrong, and when the pool hears of
 * room or of the end: none of it is compared.
 */
function told(side: Side, input: Buffer, cuts: readonly number[]): string {
  let from = 0;
  for (const to of [...cuts, input.length]) {
    if (to > from && !side.wire.closed) side.wire.receive(input.toString('latin1', from, to));
    from = Math.max(from, to);
  }
  const reset = new Set(side.seen.filter((line) => / reset /.test(line)).map((line) => line.split(' ')[0]));
  const told: string[] = [];
  for (const line of side.seen) {
    if (/^(capacity|idle|goaway|gone)/.test(line)) continue;
    const data = /^\d+ data /.exec(line)?.[0];
    if (data !== undefined && reset.has(line.split(' ')[0])) continue;
    // News of room may have come between two parts of the same data.
    if (data !== undefined && told.at(-1)?.startsWith(data)) told[told.length - 1] += line.slice(data.length);
    else told.push(line);
  }
  return told.join('\n');
}

function cutsOf(input: Buffer, draw: Draw): number[] {
  return Array.from({ length: draw.below(6) }, () => draw.below(input.length + 1)).toSorted((a, b) => a - b);
}

export const http2Server: FuzzTarget = {
  name: 'http2-server',
  about: 'HTTP/2 towards clients: no throw, the same requests and errors however the bytes are cut',
  seeds: [headers(1, request, 5), headers(1, post, 4) + frame(0, 1, 1, 'hello'), headers(1, post, 4) + frame(0, 0, 1, 'he') + frame(0, 0, 1, 'llo') + headers(1, ['x-trailer', 't'], 5), headers(1, request, 5) + headers(3, post, 4) + frame(3, 0, 3, '\0\0\0\x08'), frame(1, 1, 1, '\x82\x86') + frame(9, 4, 1, '\x84\x41\x01a')],
  words,
  check: (input, draw) => {
    const run = (cuts: readonly number[]) => {
      const side = serverSide(testOptions());
      side.wire.receive(preface + settings());
      return told(side, input, cuts);
    };
    same('cut otherwise it says', run(cutsOf(input, draw)), run([]));
  },
};

export const http2Client: FuzzTarget = {
  name: 'http2-client',
  about: 'HTTP/2 towards hosts: no throw, the same answers and resets however the bytes are cut',
  seeds: [headers(1, [':status', '200', 'content-length', '5'], 4) + frame(0, 1, 1, 'hello'), headers(1, [':status', '103'], 4) + headers(1, [':status', '204'], 5), headers(1, [':status', '200'], 4) + frame(0, 0, 1, 'x') + headers(1, ['grpc-status', '0'], 5), frame(7, 0, 0, '\0\0\0\0\0\0\0\0'), frame(3, 0, 1, '\0\0\0\x07')],
  words,
  check: (input, draw) => {
    const run = (cuts: readonly number[]) => {
      const side = clientSide(testOptions());
      side.open();
      side.stream().head(new RequestHead('GET', '/a', 'a.example'), true);
      return told(side, input, cuts);
    };
    same('cut otherwise it says', run(cutsOf(input, draw)), run([]));
  },
};

export const hpack: FuzzTarget = {
  name: 'hpack',
  about: 'HPACK: no throw, the same fields and the same verdict each time, the table within its size',
  seeds: ['\x82\x86\x84\x41\x0fwww.example.com', '\x82\x86\x84\xbe\x58\x08no-cache', '\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff', '\x40\x0acustom-key\x0dcustom-header', '\x10\x08password\x06secret', '\x3f\xe1\x1f\x82'],
  words: ['\x3f\xe1\x1f', '\x20', '\xff\xff\xff\xff\x7f', '\x7f\x80\x80\x80\x80\x01', '\x80', '\xbe', '\x40', '\x82', '\xff', '\0'],
  check: (input) => {
    const read = () => {
      const fields: string[] = [];
      const decoder = new HpackDecoder(4096);
      const verdict = decoder.decode(input, 0, input.length, { onField: (field, value, valid) => void fields.push(`${field.name}: ${value} ${valid}`) });
      if (decoder.size > 4096) throw new Error(`the table holds ${decoder.size} bytes`);
      return `${fields.join('\n')}\n${verdict}`;
    };
    same('a second time it says', read(), read());
  },
};
