import type { Transform } from 'node:stream';
import type { Gzip } from 'node:zlib';
import type { HeaderMap } from '@meltemi/http';

/** A stream of node:zlib. */
export type Coder = Transform & Pick<Gzip, 'flush'>;

/** Where a coded body goes, and who brings it. */
export interface CodedBody {
  onData(buffer: Buffer): void;
  onEnd(trailers: HeaderMap | null): void;
  onFailure(error: Error): void;
  /** No more for now: a part is being coded. */
  hold(): void;
  release(): void;
}

/**
 * Compresses or decompresses a body part by part, off the thread. Each part is finished, so that its reader can read all of it, before the next
 * is asked for: what is held is one part and what became of it.
 */
export class BodyCoder {
  readonly #coder: Coder;
  readonly #flush: number;
  readonly #out: CodedBody;
  #busy = 0;
  #end: { readonly trailers: HeaderMap | null } | null = null;
  #over = false;

  /** `flush` is what finishes a part. */
  constructor(coder: Coder, flush: number, out: CodedBody) {
    this.#out = out;
    this.#flush = flush;
    this.#coder = coder;
    this.#coder.on('data', (part: Buffer) => {
      if (!this.#over) out.onData(part);
    });
    this.#coder.on('error', (error: Error) => {
      if (!this.#over) out.onFailure(error);
    });
    this.#coder.on('end', () => {
      if (this.#over) return;
      this.#over = true;
      out.onEnd(this.#end?.trailers ?? null);
    });
  }

  data(buffer: Buffer, start: number, end: number): void {
    if (start === end) return;
    // The buffer is on loan, and the coder reads it later.
    this.#coder.write(Buffer.from(buffer.subarray(start, end)));
    if (this.#busy++ === 0) this.#out.hold();
    this.#coder.flush(this.#flush, () => this.#flushed());
  }

  end(trailers: HeaderMap | null): void {
    this.#end = { trailers };
    this.#coder.end();
  }

  destroy(): void {
    this.#over = true;
    this.#coder.destroy();
  }

  #flushed(): void {
    if (!this.#over && --this.#busy === 0) this.#out.release();
  }
}
