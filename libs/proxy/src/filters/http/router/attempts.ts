import type { Attempt } from './attempt.ts';

/** The attempts of one request that are under way: one, unless hedging starts another beside it. @hot */
export class Attempts {
  /** The one that gets the request's body. */
  newest: Attempt | null = null;
  /** Those that took too long and may still answer. */
  #older: Attempt[] | null = null;

  add(attempt: Attempt): void {
    if (this.newest !== null) (this.#older ??= []).push(this.newest);
    this.newest = attempt;
  }

  /** Gives it up, if it is not over. */
  drop(attempt: Attempt): void {
    attempt.abandon();
    if (this.newest === attempt) this.newest = null;
    else if (this.#older !== null) this.#older = this.#older.filter((other) => other !== attempt);
  }

  /** Gives up all others. Returns whether one that came later was among them. */
  keepOnly(attempt: Attempt): boolean {
    const older = this.newest !== attempt;
    if (older) this.newest?.abandon();
    if (this.#older !== null) for (const other of this.#older) if (other !== attempt) other.abandon();
    this.#older = null;
    this.newest = attempt;
    return older;
  }

  /** Another than this one may still answer. */
  awaitsOther(attempt: Attempt): boolean {
    if (this.newest !== null && this.newest !== attempt && this.newest.awaiting) return true;
    return this.#older?.some((other) => other !== attempt && other.awaiting) ?? false;
  }

  abandon(): void {
    this.newest?.abandon();
    if (this.#older !== null) for (const other of this.#older) other.abandon();
  }

  all(): readonly Attempt[] {
    return [...(this.newest === null ? [] : [this.newest]), ...(this.#older ?? [])];
  }
}
