import type { Draw } from './draw.ts';
import type { FuzzTarget } from './target.ts';

const maxInput = 2048;
/** Bytes that readers disagree about. */
const edges: readonly number[] = [0, 1, 9, 10, 11, 12, 13, 32, 34, 44, 48, 57, 58, 59, 127, 128, 133, 160, 255];

/** Grows inputs of one target: a seed, or two spliced, with a few mutations. One buffer for all: an input is good until the next. */
export function growing(target: FuzzTarget): (draw: Draw) => Buffer {
  const buffer = Buffer.alloc(maxInput);
  const encode = (text: string) => Buffer.from(text, 'latin1').subarray(0, maxInput);
  const seeds = target.seeds.map(encode);
  const words = target.words.map(encode);
  return (draw) => {
    let length = put(buffer, 0, seeds[draw.below(seeds.length)]);
    if (draw.below(4) === 0) length = put(buffer, draw.below(length + 1), seeds[draw.below(seeds.length)]);
    for (let left = draw.below(5); left > 0; left--) length = mutate(buffer, length, { draw, words });
    return buffer.subarray(0, length);
  };
}

function put(buffer: Buffer, at: number, from: Buffer | undefined): number {
  return from === undefined ? at : at + from.copy(buffer, at);
}

function mutate(buffer: Buffer, length: number, { draw, words }: { readonly draw: Draw; readonly words: readonly Buffer[] }): number {
  const at = draw.below(length + 1);
  switch (draw.below(8)) {
    case 0:
      if (at < length) buffer[at] = draw.next() & 255;
      return length;
    case 1:
      if (at < length) buffer[at] = draw.pick(edges);
      return length;
    case 2:
    case 3:
      return insert(buffer, { at, length }, words[draw.below(words.length)]);
    case 4:
      buffer[maxInput - 1] = draw.pick(edges);
      return insert(buffer, { at, length: Math.min(length, maxInput - 1) }, buffer.subarray(maxInput - 1));
    case 5:
      return remove(buffer, at, length, 1 + draw.below(draw.below(4) === 0 ? 64 : 3));
    case 6:
      return insert(buffer, { at, length }, Buffer.from(buffer.subarray(at, Math.min(length, at + 1 + draw.below(40)))));
    default:
      return draw.below(6) === 0 ? at : length;
  }
}

function insert(buffer: Buffer, { at, length }: { readonly at: number; readonly length: number }, part: Buffer | undefined): number {
  if (part === undefined || length + part.length > maxInput) return length;
  buffer.copyWithin(at + part.length, at, length);
  part.copy(buffer, at);
  return length + part.length;
}

function remove(buffer: Buffer, at: number, length: number, count: number): number {
  const end = Math.min(length, at + count);
  buffer.copyWithin(at, end, length);
  return length - (end - at);
}
