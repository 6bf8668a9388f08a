const group = /(?:[A-Za-z0-9+/]{4})+|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==/g;

/** Decodes base64 that comes in parts of any length. Padding may stand after any group: clients send messages padded one by one. */
export class Base64Decoder {
  #rest = '';

  /** The bytes of all whole groups so far; null when it is no base64. */
  decode(buffer: Buffer, start: number, end: number): Buffer | null {
    const text = this.#rest + buffer.toString('latin1', start, end);
    const whole = text.length & ~3;
    this.#rest = text.slice(whole);
    const groups = text.slice(0, whole).match(group) ?? [];
    const decoded = groups.map((part) => Buffer.from(part, 'base64'));
    return groups.reduce((sum, { length }) => sum + length, 0) === whole ? Buffer.concat(decoded) : null;
  }

  /** Nothing of a group is missing. */
  get complete(): boolean {
    return this.#rest === '';
  }
}

const headBytes = 5;

/** Encodes gRPC frames as base64, each padded by itself, whatever parts they come in: a reader has all of a frame with its last byte. */
export class FrameEncoder {
  /** Bytes of a group that is not whole yet. */
  #rest: Buffer = Buffer.alloc(0);
  /** Of the current frame's head, then of its payload. */
  #headLeft = headBytes;
  #payloadLeft = 0;
  #length = 0;

  encode(buffer: Buffer, start: number, end: number): Buffer {
    let text = '';
    for (let at = start; at < end; ) {
      const from = at;
      at = this.#advance(buffer, at, end);
      const over = this.#headLeft === 0 && this.#payloadLeft === 0;
      text += this.#groups(buffer.subarray(from, at), over);
      if (over) this.#headLeft = headBytes;
    }
    return Buffer.from(text, 'latin1');
  }

  /** To the end of the head, then of the frame, or of what is there. */
  #advance(buffer: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#headLeft === headBytes) this.#length = 0;
    for (; this.#headLeft > 0 && at < end; at++, this.#headLeft--) if (this.#headLeft < headBytes) this.#length = this.#length * 256 + (buffer[at] ?? 0);
    if (at > start && this.#headLeft === 0) this.#payloadLeft = this.#length;
    const taken = Math.min(end - at, this.#headLeft > 0 ? 0 : this.#payloadLeft);
    this.#payloadLeft -= taken;
    return at + taken;
  }

  #groups(part: Buffer, last: boolean): string {
    const bytes = this.#rest.length === 0 ? part : Buffer.concat([this.#rest, part]);
    const whole = last ? bytes.length : bytes.length - (bytes.length % 3);
    this.#rest = Buffer.from(bytes.subarray(whole));
    return bytes.toString('base64', 0, whole);
  }
}
