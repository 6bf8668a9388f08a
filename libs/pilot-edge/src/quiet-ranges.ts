interface Range {
  readonly from: number;
  to: number;
}

/** Ranges kept; an older one is forgotten, and its revisions count as if they had changed something. */
const maxRanges = 64;

/** Revisions that changed nothing at all for one client. */
export class QuietRanges {
  readonly #ranges: Range[] = [];

  /** Nothing differed between what the client had before `from` and what it has with `to`. */
  note(from: number, to: number): void {
    const last = this.#ranges.at(-1);
    if (last && last.to + 1 === from) last.to = to;
    else this.#ranges.push({ from, to });
    if (this.#ranges.length > maxRanges) this.#ranges.shift();
  }

  has(revision: number): boolean {
    return this.#ranges.some(({ from, to }) => from <= revision && revision <= to);
  }
}
