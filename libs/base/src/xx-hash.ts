import { multiply, productHi, type Hash64 } from './hash64.ts';

/** The five primes of XXH64, high and low halves. */
const p1h = 0x9e3779b1 | 0, p1l = 0x85ebca87 | 0;
const p2h = 0xc2b2ae3d | 0, p2l = 0x27d4eb4f | 0;
const p3h = 0x165667b1 | 0, p3l = 0x9e3779f9 | 0;
const p4h = 0x85ebca77 | 0, p4l = 0xc2b2ae63 | 0;
const p5h = 0x27d4eb2f | 0, p5l = 0x165667c5 | 0;

/** The four lanes and the running hash of the call under way: hi, lo pairs. Calls do not nest, so one set serves all. */
const lanes = new Int32Array(8);
const running = new Int32Array(2);
let inputHi = 0;
let inputLo = 0;

/** XXH64 (xxhash.com, specification of the algorithm) of latin1 text: each character is one byte. Nothing is allocated. @hot */
export function xxHash64(text: string, into: Hash64, seed = 0): void {
  const length = text.length;
  let at = 0;
  if (length >= 32) {
    startLanes(seed | 0);
    for (; at + 32 <= length; at += 32) {
      for (let lane = 0; lane < 4; lane++) {
        read64(text, at + 8 * lane);
        round(lanes, 2 * lane);
      }
    }
    joinLanes();
  } else {
    set(p5h, p5l);
    add(0, seed | 0);
  }
  add(0, length | 0);
  finish(text, at, into);
}

function startLanes(seed: number): void {
  set(p1h, p1l);
  add(p2h, p2l);
  add(0, seed);
  keep(0);
  set(p2h, p2l);
  add(0, seed);
  keep(1);
  set(0, seed);
  keep(2);
  set(0, seed);
  add(~p1h, ~p1l);
  add(0, 1);
  keep(3);
}

function keep(lane: number): void {
  lanes[2 * lane] = running[0] as number;
  lanes[2 * lane + 1] = running[1] as number;
}

/** A lane's accumulator takes in the input: rotl(acc + input * p2, 31) * p1. */
function round(target: Int32Array, at: number): void {
  const lo = multiply(inputHi, inputLo, p2h, p2l);
  const hi = productHi;
  const sum = ((target[at + 1] as number) >>> 0) + (lo >>> 0);
  const high = ((target[at] as number) + hi + (sum > 0xffffffff ? 1 : 0)) | 0;
  const low = sum | 0;
  target[at + 1] = multiply((high << 31) | (low >>> 1), (low << 31) | (high >>> 1), p1h, p1l);
  target[at] = productHi;
}

const rotations = [1, 7, 12, 18] as const;

function joinLanes(): void {
  set(0, 0);
  for (let lane = 0; lane < 4; lane++) {
    const by = rotations[lane as 0 | 1 | 2 | 3];
    const hi = lanes[2 * lane] as number;
    const lo = lanes[2 * lane + 1] as number;
    add((hi << by) | (lo >>> (32 - by)), (lo << by) | (hi >>> (32 - by)));
  }
  for (let lane = 0; lane < 4; lane++) {
    inputHi = lanes[2 * lane] as number;
    inputLo = lanes[2 * lane + 1] as number;
    mixIn();
    times(p1h, p1l);
    add(p4h, p4l);
  }
}

/** running ^= round(0, input). */
const single = new Int32Array(2);
function mixIn(): void {
  single[0] = 0;
  single[1] = 0;
  round(single, 0);
  running[0] = (running[0] as number) ^ (single[0] as number);
  running[1] = (running[1] as number) ^ (single[1] as number);
}

function finish(text: string, from: number, into: Hash64): void {
  const length = text.length;
  let at = from;
  for (; at + 8 <= length; at += 8) {
    read64(text, at);
    mixIn();
    rotate(27);
    times(p1h, p1l);
    add(p4h, p4l);
  }
  if (at + 4 <= length) {
    mixSmall(read32(text, at), p1h, p1l);
    rotate(23);
    times(p2h, p2l);
    add(p3h, p3l);
    at += 4;
  }
  for (; at < length; at++) {
    mixSmall(text.charCodeAt(at) & 0xff, p5h, p5l);
    rotate(11);
    times(p1h, p1l);
  }
  shiftIn(33);
  times(p2h, p2l);
  shiftIn(29);
  times(p3h, p3l);
  shiftIn(32);
  into.hi = (running[0] as number) >>> 0;
  into.lo = (running[1] as number) >>> 0;
}

/** running ^= value * prime. */
function mixSmall(value: number, hi: number, lo: number): void {
  const low = multiply(0, value, hi, lo);
  running[0] = (running[0] as number) ^ productHi;
  running[1] = (running[1] as number) ^ low;
}

function set(hi: number, lo: number): void {
  running[0] = hi;
  running[1] = lo;
}

function add(hi: number, lo: number): void {
  const sum = ((running[1] as number) >>> 0) + (lo >>> 0);
  running[0] = ((running[0] as number) + hi + (sum > 0xffffffff ? 1 : 0)) | 0;
  running[1] = sum | 0;
}

function times(hi: number, lo: number): void {
  running[1] = multiply(running[0] as number, running[1] as number, hi, lo);
  running[0] = productHi;
}

/** By 1 to 31 bits. */
function rotate(by: number): void {
  const hi = running[0] as number;
  const lo = running[1] as number;
  running[0] = (hi << by) | (lo >>> (32 - by));
  running[1] = (lo << by) | (hi >>> (32 - by));
}

/** running ^= running >> by. */
function shiftIn(by: number): void {
  const hi = running[0] as number;
  const lo = running[1] as number;
  if (by >= 32) {
    running[1] = lo ^ (by === 32 ? hi : hi >>> (by - 32));
    return;
  }
  running[0] = hi ^ (hi >>> by);
  running[1] = lo ^ ((lo >>> by) | (hi << (32 - by)));
}

function read32(text: string, at: number): number {
  return (text.charCodeAt(at) & 0xff) | ((text.charCodeAt(at + 1) & 0xff) << 8) | ((text.charCodeAt(at + 2) & 0xff) << 16) | (text.charCodeAt(at + 3) << 24);
}

function read64(text: string, at: number): void {
  inputLo = read32(text, at);
  inputHi = read32(text, at + 4);
}
