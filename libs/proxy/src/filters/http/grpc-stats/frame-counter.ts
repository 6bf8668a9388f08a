const headBytes = 5;

/** Counts the messages of a gRPC body that comes in parts of any length. @hot */
export class FrameCounter {
  #headLeft = headBytes;
  #payloadLeft = 0;
  /** As far as the head says it yet. */
  #length = 0;

  /** The messages that begin in this part. */
  count(buffer: Buffer, start: number, end: number): number {
    let begun = 0;
    for (let at = start; at < end; ) {
      if (this.#payloadLeft > 0) {
        const skipped = Math.min(this.#payloadLeft, end - at);
        this.#payloadLeft -= skipped;
        at += skipped;
        continue;
      }
      if (this.#headLeft === headBytes) begun++;
      else this.#length = this.#length * 256 + (buffer[at] ?? 0);
      at++;
      if (--this.#headLeft > 0) continue;
      this.#headLeft = headBytes;
      this.#payloadLeft = this.#length;
      this.#length = 0;
    }
    return begun;
  }
}
