const remembered = 128;

/** Streams that we reset not long ago: their last frames may still be on the way. */
export class RecentResets {
  readonly #ids = new Set<number>();

  add(streamId: number): void {
    this.#ids.add(streamId);
    if (this.#ids.size <= remembered) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      break;
    }
  }

  has(streamId: number): boolean {
    return this.#ids.has(streamId);
  }
}
