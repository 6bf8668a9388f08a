import type { Clock } from '@meltemi/base';
import type { ReadinessCheck, ReadinessProbe } from './readiness-probe.ts';

/** What is known of an application; undefined before the first threshold is reached. */
export type ApplicationHealth = { readonly healthy: true } | { readonly healthy: false; readonly reason: string };

export interface ReadinessOptions {
  readonly probe: ReadinessProbe;
  readonly clock: Clock;
  /** Asks once, within the timeout or until `stop`; a text says why it is not ready. Never rejects. */
  readonly ask: (check: ReadinessCheck, timeoutMs: number, stop: AbortSignal) => Promise<string | undefined>;
  /** Why the proxy itself is not ready: then the application is out of reach, whatever it says. */
  readonly proxyReason: () => string | undefined;
}

/** Asks an application again and again whether it is ready and tells when that changes. One question is open at most. Source: Istio's WorkloadHealthChecker. */
export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #listeners = new Set<() => void>();
  #current: ApplicationHealth | undefined;
  #good = 0;
  #bad = 0;
  #cancel = () => {};
  readonly #stop = new AbortController();

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  get current(): ApplicationHealth | undefined {
    return this.#current;
  }

  /** Told of each change; returns how to unsubscribe. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#after(this.#options.probe.initialDelayMs);
  }

  /** Gives up a question that is open, too. */
  stop(): void {
    this.#stop.abort();
    this.#cancel();
  }

  #after(ms: number): void {
    this.#cancel = this.#options.clock.after(ms, () => void this.#ask());
  }

  async #ask(): Promise<void> {
    const { probe, clock, ask, proxyReason } = this.#options;
    const began = clock.monotonic();
    const reason = proxyReason() ?? (await ask(probe.check, probe.timeoutMs, this.#stop.signal));
    if (this.#stop.signal.aborted) return;
    this.#count(reason);
    this.#after(Math.max(0, probe.periodMs - (clock.monotonic() - began)));
  }

  #count(reason: string | undefined): void {
    const { successThreshold, failureThreshold } = this.#options.probe;
    this.#good = reason === undefined ? this.#good + 1 : 0;
    this.#bad = reason === undefined ? 0 : this.#bad + 1;
    if (reason === undefined) {
      if (this.#good >= successThreshold && this.#current?.healthy !== true) this.#set({ healthy: true });
    } else if (this.#bad >= failureThreshold && this.#current?.healthy !== false) this.#set({ healthy: false, reason });
  }

  #set(health: ApplicationHealth): void {
    this.#current = health;
    for (const listener of this.#listeners) listener();
  }
}
