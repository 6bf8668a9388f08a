import { waitFor } from '@meltemi/base';
import { FrameTeller, frame, headersFrame, settingsFrame, word, type ReadFrame } from '@meltemi/proxy/testing';
import type { Attacker } from './attacker.ts';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const deadlineMs = 10_000;

/** An attacker that speaks HTTP/2 frame by frame. */
export class Http2Attacker {
  readonly #attacker: Attacker;
  readonly #teller = new FrameTeller();
  #read = 0;
  /** Frames so far in words: "HEADERS 1 :status=200 …", "RST_STREAM 1 1", "GOAWAY 1 1". */
  readonly told: string[] = [];

  constructor(attacker: Attacker, ...settings: readonly number[]) {
    this.#attacker = attacker;
    attacker.send(preface + settingsFrame(...settings));
  }

  get closed(): boolean {
    return this.#attacker.closed;
  }

  send(bytes: string | Buffer): void {
    this.#attacker.send(bytes);
  }

  /** A request in one HEADERS frame; `body` follows in one DATA frame. */
  request(id: number, fields: readonly string[], body: string | null = null): void {
    this.send(headersFrame(id, fields, body === null ? 5 : 4) + (body === null ? '' : frame(0, 1, id, body)));
  }

  /** A request with a body of one byte and trailers. */
  trailed(id: number, fields: readonly string[], trailers: readonly string[]): void {
    this.send(headersFrame(id, fields, 4) + frame(0, 0, id, 'x') + headersFrame(id, trailers, 5));
  }

  /** What became of a stream: its status, or "reset CODE", or "goaway CODE". */
  async outcome(id: number): Promise<string> {
    return waitFor(`an end of stream ${id}; so far ${JSON.stringify(this.told)}`, () => {
      this.#take();
      const status = this.told.map((one) => new RegExp(`^HEADERS ${id}(?: end)? :status=([2-5]\\d\\d)`).exec(one)?.[1]).find((one) => one !== undefined);
      if (status !== undefined && this.told.some((one) => one.startsWith(`HEADERS ${id} end`) || one.startsWith(`DATA ${id} end`) || one.startsWith(`RST_STREAM ${id} `))) return status;
      const reset = this.told.find((one) => one.startsWith(`RST_STREAM ${id} `));
      if (reset !== undefined) return `reset ${reset.split(' ')[2]}`;
      const goaway = this.told.find((one) => /^GOAWAY \d+ [1-9]/.test(one));
      return goaway !== undefined && `goaway ${goaway.split(' ')[2]}`;
    }, { deadlineMs, everyMs: 1 });
  }

  /** Waits until the proxy has ended the connection; gives the code of its GOAWAY, or -1. */
  async ended(): Promise<number> {
    await waitFor('the end of the connection', () => this.closed, { deadlineMs, everyMs: 1 });
    this.#take();
    return Number(this.told.findLast((one) => one.startsWith('GOAWAY'))?.split(' ')[2] ?? -1);
  }

  close(): void {
    this.#attacker.close();
  }

  #take(): void {
    const bytes = Buffer.from(this.#attacker.received, 'latin1');
    const frames: ReadFrame[] = [];
    while (this.#read + 9 <= bytes.length) {
      const at = this.#read;
      const length = bytes.readUIntBE(at, 3);
      if (at + 9 + length > bytes.length) break;
      frames.push({ type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, id: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + 9, at + 9 + length) });
      this.#read = at + 9 + length;
    }
    this.told.push(...this.#teller.tell(frames));
    if (frames.some(({ type, flags }) => type === 4 && (flags & 1) === 0)) this.send(frame(4, 1, 0));
  }
}

/** More room for the connection, and for a stream. */
export function windowUpdate(id: number, more: number): string {
  return frame(8, 0, id, word(more));
}
