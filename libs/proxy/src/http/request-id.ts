const poolBytes = 8192;
const hex: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Makes request ids: version 4 UUIDs from random bytes drawn 8 KB at a time. @hot */
export class RequestIds {
  readonly #fill: (buffer: Buffer) => void;
  readonly #pool = Buffer.alloc(poolBytes);
  #at = poolBytes;

  /** `fill` writes random bytes over the whole buffer. */
  constructor(fill: (buffer: Buffer) => void) {
    this.#fill = fill;
  }

  next(): string {
    const p = this.#pool;
    const i = this.#take(16);
    const h = (offset: number) => hex[p[i + offset] ?? 0] ?? '00';
    const version = hex[((p[i + 6] ?? 0) & 0x0f) | 0x40] ?? '40';
    const variant = hex[((p[i + 8] ?? 0) & 0x3f) | 0x80] ?? '80';
    return `${h(0)}${h(1)}${h(2)}${h(3)}-${h(4)}${h(5)}-${version}${h(7)}-${variant}${h(9)}-${h(10)}${h(11)}${h(12)}${h(13)}${h(14)}${h(15)}`;
  }

  /** 64 random bits as 16 hex digits: ids of traces and spans. */
  hex64(): string {
    const at = this.#take(8);
    return this.#pool.toString('hex', at, at + 8);
  }

  #take(bytes: number): number {
    if (this.#at + bytes > poolBytes) {
      this.#fill(this.#pool);
      this.#at = 0;
    }
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}
