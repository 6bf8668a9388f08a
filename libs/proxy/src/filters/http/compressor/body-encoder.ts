import type { HeaderMap } from '@meltemi/http';
import { createEncoder, type CompressorLibrary, type Encoder } from './libraries.ts';

/** Where an encoded body goes, and who brings the plain one. */
export interface EncodedBody {
  onData(buffer: Buffer): void;
  onEnd(trailers: HeaderMap | null): void;
  onFailure(error: Error): void;
  /** No more for now: a part is being encoded. */
  hold(): void;
  release(): void;
}

/**
 * Encodes a body part by part, off the thread. Each part is finished, so that its reader can read all of it, before the next is asked for:
 * what is held is one part and what became of it.
 */
export class BodyEncoder {
  readonly #encoder: Encoder;
  readonly #flush: number;
  readonly #out: EncodedBody;
  #busy = 0;
  #end: { readonly trailers: HeaderMap | null } | null = null;
  #over = false;

  constructor(library: CompressorLibrary, out: EncodedBody) {
    this.#out = out;
    this.#flush = library.flush;
    this.#encoder = createEncoder(library);
    this.#encoder.on('data', (part: Buffer) => {
      if (!this.#over) out.onData(part);
    });
    this.#encoder.on('error', (error: Error) => {
      if (!this.#over) out.onFailure(error);
    });
    this.#encoder.on('end', () => {
      if (this.#over) return;
      this.#over = true;
      out.onEnd(this.#end?.trailers ?? null);
    });
  }

  data(buffer: Buffer, start: number, end: number): void {
    if (start === end) return;
    // The buffer is on loan, and the encoder reads it later.
    this.#encoder.write(Buffer.from(buffer.subarray(start, end)));
    if (this.#busy++ === 0) this.#out.hold();
    this.#encoder.flush(this.#flush, () => this.#flushed());
  }

  end(trailers: HeaderMap | null): void {
    this.#end = { trailers };
    this.#encoder.end();
  }

  destroy(): void {
    this.#over = true;
    this.#encoder.destroy();
  }

  #flushed(): void {
    if (!this.#over && --this.#busy === 0) this.#out.release();
  }
}
