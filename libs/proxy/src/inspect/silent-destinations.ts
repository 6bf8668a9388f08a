/** Destinations remembered at most, and for how long: then the next connection waits once more. */
export const maxSilentDestinations = 1024;
export const silentForMs = 10 * 60_000;

/**
 * Destinations whose clients say nothing before the server does (SMTP, MySQL): who sniffs protocols there waits in vain. The oldest is
 * forgotten for a new one.
 */
export class SilentDestinations {
  /** When each was last seen silent, the oldest first. */
  readonly #seenMs = new Map<string, number>();

  has(destination: string, nowMs: number): boolean {
    const seen = this.#seenMs.get(destination);
    if (seen === undefined) return false;
    if (nowMs - seen < silentForMs) return true;
    this.#seenMs.delete(destination);
    return false;
  }

  /** A client there said nothing for as long as was waited. */
  silent(destination: string, nowMs: number): void {
    this.#seenMs.delete(destination);
    this.#seenMs.set(destination, nowMs);
    if (this.#seenMs.size > maxSilentDestinations) for (const oldest of this.#seenMs.keys()) return void this.#seenMs.delete(oldest);
    return undefined;
  }

  /** A client there spoke first. */
  spoke(destination: string): void {
    this.#seenMs.delete(destination);
  }
}
