/** What was started and must be stopped: parts stop in the reverse order they were added, each within the deadline. */
export class Lifecycle {
  #parts: { name: string; stop: () => Promise<void> | void }[] = [];
  #stopped: Promise<StopReport> | undefined;

  /** Registers a running part. */
  add(name: string, stop: () => Promise<void> | void): void {
    this.#parts.push({ name, stop });
  }

  /** Stops every part, newest first. A part that throws or outlives `deadlineMs` is reported; the rest still stop. */
  stop(deadlineMs: number): Promise<StopReport> {
    this.#stopped ??= this.#stopAll(deadlineMs);
    return this.#stopped;
  }

  async #stopAll(deadlineMs: number): Promise<StopReport> {
    const failures: { name: string; reason: string }[] = [];
    const end = performance.now() + deadlineMs;
    for (const part of this.#parts.reverse()) {
      try {
        await withDeadline(Promise.resolve(part.stop()), Math.max(1, end - performance.now()), `stopping ${part.name}`);
      } catch (cause) {
        failures.push({ name: part.name, reason: cause instanceof Error ? cause.message : String(cause) });
      }
    }
    return { failures };
  }
}

export interface StopReport {
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
}

/** Rejects with "<what>: no result within N ms" when `promise` takes longer. Every wait has a deadline. */
export async function withDeadline<T>(promise: Promise<T>, deadlineMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no result within ${Math.round(deadlineMs)} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls `condition` until it gives a value other than undefined or false, or throws with `what` after the deadline. For tests and start-up. */
export async function waitFor<T>(what: string, condition: () => Promise<T | undefined | false> | T | undefined | false, options: { deadlineMs?: number; everyMs?: number } = {}): Promise<T> {
  const deadlineMs = options.deadlineMs ?? 30_000;
  const end = performance.now() + deadlineMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for ${what}${lastError instanceof Error ? `; last error: ${lastError.message}` : ''}`);
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 25));
  }
}
