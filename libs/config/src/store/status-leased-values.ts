import type { Clock } from '@meltemi/base';
import type { ConfigKey } from '../object.ts';
import type { StatusStore, StatusUpdate } from './config-store.ts';
import type { LeasedEvent, LeasedValues } from './leased-values.ts';

export interface StatusLeasedValuesOptions {
  readonly status: StatusStore;
  /** Keeps these values apart from others: the kind of their status records. */
  readonly kind: string;
  readonly clock: Clock;
  /** How long values of an earlier run wait to be held again. */
  readonly leaseMs: number;
  readonly onFailure: (reason: string) => void;
}

const group = 'meltemi.io';
const maxBatch = 50;
const retryMs = 1000;

/** Leased values of a store that has one program: kept over its restarts as status records. Names are NAMESPACE/NAME. */
export function statusLeasedValues(options: StatusLeasedValuesOptions): LeasedValues {
  return new StatusLeased(options);
}

class StatusLeased implements LeasedValues {
  readonly #options: StatusLeasedValuesOptions;
  readonly #values = new Map<string, string>();
  /** What will end, and how to keep it. */
  readonly #ending = new Map<string, () => void>();
  readonly #unwritten = new Set<string>();
  readonly #untold = new Map<string, LeasedEvent>();
  #wake: () => void = () => undefined;
  #writing: Promise<void> | undefined;
  #cancelRetry: () => void = () => undefined;
  #closed = false;

  constructor(options: StatusLeasedValuesOptions) {
    this.#options = options;
  }

  hold(name: string, value: string): void {
    this.#ending.get(name)?.();
    this.#ending.delete(name);
    if (this.#values.get(name) !== value) this.#set(name, value);
  }

  release(name: string, afterMs: number): void {
    if (!this.#values.has(name) || this.#closed) return;
    this.#ending.get(name)?.();
    this.#ending.set(name, this.#options.clock.after(afterMs, () => {
      this.#ending.delete(name);
      this.#set(name, undefined);
    }));
  }

  async *watch(signal: AbortSignal): AsyncGenerator<LeasedEvent> {
    for (const { name, value } of await this.#kept(signal)) {
      if (this.#values.has(name)) continue;
      this.#values.set(name, value);
      this.#untold.set(name, { type: 'put', name, value });
      this.release(name, this.#options.leaseMs);
    }
    yield* this.#take();
    yield { type: 'synced' };
    const aborted = (): void => this.#wake();
    signal.addEventListener('abort', aborted);
    try {
      while (!signal.aborted && !this.#closed) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        if (this.#untold.size === 0) await promise;
        yield* this.#take();
      }
    } finally {
      signal.removeEventListener('abort', aborted);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry();
    for (const keep of this.#ending.values()) keep();
    this.#wake();
    await this.#writing;
    await this.#write();
  }

  #take(): LeasedEvent[] {
    const events = [...this.#untold.values()];
    this.#untold.clear();
    return events;
  }

  #set(name: string, value: string | undefined): void {
    if (value === undefined) this.#values.delete(name);
    else this.#values.set(name, value);
    this.#untold.set(name, value === undefined ? { type: 'delete', name } : { type: 'put', name, value });
    this.#unwritten.add(name);
    this.#wake();
    this.#start();
  }

  #start(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async #write(): Promise<void> {
    while (this.#unwritten.size > 0) {
      const names = [...this.#unwritten].slice(0, maxBatch);
      if (await this.#put(names)) continue;
      for (const name of names) this.#unwritten.add(name);
      this.#cancelRetry = this.#options.clock.after(retryMs, () => this.#start());
      return;
    }
  }

  /** False when it must be tried again. One value that the store does not take keeps no other from being written. */
  async #put(names: readonly string[]): Promise<boolean> {
    for (const name of names) this.#unwritten.delete(name);
    const written = await this.#options.status.write(names.map((name): StatusUpdate => {
      const value = this.#values.get(name);
      return { key: this.#key(name), record: value === undefined ? undefined : { status: { value } } };
    }));
    if (written.ok) return true;
    const { code, message } = written.error;
    if ((code === 'invalid' || code === 'too-large') && names.length > 1) {
      let done = true;
      for (const name of names) done = (await this.#put([name])) && done;
      return done;
    }
    this.#options.onFailure(names.length === 1 ? `${names[0]}: ${message}` : message);
    return code !== 'unavailable' || this.#closed;
  }

  async #kept(signal: AbortSignal): Promise<readonly { readonly name: string; readonly value: string }[]> {
    for (;;) {
      const listed = await this.#options.status.list();
      if (listed.ok) return listed.value.flatMap(({ key, record }) => {
        const value = record.status['value'];
        return key.group === group && key.kind === this.#options.kind && typeof value === 'string' ? [{ name: `${key.namespace}/${key.name}`, value }] : [];
      });
      this.#options.onFailure(listed.error.message);
      if (signal.aborted || listed.error.code !== 'unavailable') return [];
      await new Promise<void>((resolve) => this.#options.clock.after(retryMs, resolve));
    }
  }

  #key(name: string): ConfigKey {
    const slash = name.indexOf('/');
    return { group, kind: this.#options.kind, namespace: name.slice(0, Math.max(0, slash)), name: name.slice(slash + 1) };
  }
}
