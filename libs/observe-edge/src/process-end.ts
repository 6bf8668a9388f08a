import { type Lifecycle, withDeadline } from '@meltemi/base';
import type { Logger } from './log.ts';
import type { Readiness } from './readiness.ts';
import { StartError } from './start-error.ts';

/** How long stopping the parts may take after the drain. */
const stopTimeoutMs = 5000;
/** What a timer holds, about 24 days, less what follows the drain. */
const longestDrainMs = 2 ** 31 - 1 - 1000;

interface Drainable {
  readonly drainTimeoutMs?: number;
  readonly drain?: (deadlineMs: number) => Promise<void>;
}

/** Every way a program ends: signal, own wish, crash, failed start, or the launcher's death. */
export class ProcessEnd {
  readonly #parts: { log: Logger; lifecycle: Lifecycle; readiness: Readiness; drainTimeoutMs: number };
  /** Set once started: what to drain. */
  running: Drainable = {};
  #ending = false;

  constructor(parts: { log: Logger; lifecycle: Lifecycle; readiness: Readiness; drainTimeoutMs: number }) {
    this.#parts = parts;
  }

  watch(): void {
    for (const [signal, number] of [['SIGTERM', 15], ['SIGINT', 2]] as const)
      process.on(signal, () => {
        if (this.#ending) process.exit(128 + number);
        this.begin(signal);
      });
    process.on('uncaughtException', (error) => this.#crash(error, 'uncaught exception'));
    process.on('unhandledRejection', (reason) => this.#crash(reason, 'unhandled rejection'));
    // A launcher or supervisor that started us with an IPC channel and died must not leave us behind.
    if (process.connected) {
      process.on('disconnect', () => this.begin('the launching process is gone'));
      process.channel?.unref();
    }
  }

  /** Ready turns 503, work is drained, parts stop, exit 0 (1 when a part did not stop). Later calls do nothing. */
  begin(reason: string, exitCode = 0): void {
    if (this.#ending) return;
    this.#ending = true;
    void this.#end(reason, exitCode);
  }

  /** Ends with the code the program itself resolves to. */
  follow(done: Promise<number>): void {
    done.then(
      (code) => this.begin('finished', code),
      (error: unknown) => this.#crash(error, 'failed'),
    );
  }

  /** Stops what was started already, says why, exits. */
  async failStart(name: string, cause: unknown): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    await this.#parts.lifecycle.stop(stopTimeoutMs);
    if (cause instanceof StartError) process.stderr.write(`${name}: ${cause.message}\n`);
    else this.#parts.log.fatal({ err: cause }, 'start failed');
    process.exit(cause instanceof StartError ? cause.exitCode : 1);
  }

  async #end(reason: string, exitCode: number): Promise<void> {
    const { log, lifecycle, readiness } = this.#parts;
    const drainTimeoutMs = Math.min(this.running.drainTimeoutMs ?? this.#parts.drainTimeoutMs, longestDrainMs);
    readiness.startDraining();
    log.info({ reason, drainTimeoutMs }, 'draining');
    try {
      await withDeadline(Promise.resolve(this.running.drain?.(drainTimeoutMs)), drainTimeoutMs + 100, 'drain');
    } catch (error) {
      log.warn({ err: error }, 'drain did not finish; stopping anyway');
    }
    const { failures } = await lifecycle.stop(stopTimeoutMs);
    for (const failure of failures) log.error(failure, 'a part did not stop');
    log.info({ reason }, 'stopped');
    process.exit(exitCode === 0 && failures.length > 0 ? 1 : exitCode);
  }

  #crash(error: unknown, what: string): void {
    this.#parts.log.fatal({ err: error }, what);
    process.exit(1);
  }
}
