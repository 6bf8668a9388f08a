import type { HeaderMap } from '@meltemi/http';

/** Body parts waiting for a filter, copied: their buffers were on loan. */
export class HeldBody {
  readonly parts: Buffer[] = [];
  bytes = 0;
  ended = false;
  trailers: HeaderMap | null = null;

  /** Returns the bytes held. */
  add(buffer: Buffer, start: number, end: number): number {
    this.parts.push(Buffer.from(buffer.subarray(start, end)));
    this.bytes += end - start;
    return this.bytes;
  }

  end(trailers: HeaderMap | null): void {
    this.ended = true;
    this.trailers = trailers;
  }
}
