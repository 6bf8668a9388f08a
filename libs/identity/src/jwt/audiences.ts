/** Whom tokens may be meant for. "https://a/" and "a" are the same, as in Envoy. */
export class Audiences {
  readonly #allowed: ReadonlySet<string>;

  /** None allows all. */
  constructor(allowed: readonly string[]) {
    this.#allowed = new Set(allowed.map(bare));
  }

  allow(audiences: readonly string[]): boolean {
    return this.#allowed.size === 0 || audiences.some((audience) => this.#allowed.has(bare(audience)));
  }
}

function bare(audience: string): string {
  return audience.replace(/^https?:\/\//, '').replace(/\/$/, '');
}
