import { keyText, type ConfigKey, type RawObject, type StatusStore, type StatusUpdate } from '@meltemi/config';
import type { CacheLog } from './config-cache.ts';

const maxBatch = 50;
/** Registry objects change all the time and are rebuilt from their own source; what people write is what must survive. */
const keptGroups = new Set(['networking.istio.io', 'security.istio.io', 'telemetry.istio.io', 'extensions.istio.io']);

/** Remembers each object's last good version in the store, so that a restarted pilot still has it when the newest version is bad. Writes in batches, behind. */
export class LastGoodWriter {
  readonly #status: StatusStore;
  readonly #log: CacheLog;
  readonly #known = new Map<string, RawObject>();
  readonly #queue = new Map<string, StatusUpdate>();
  #writing: Promise<void> | undefined;

  constructor(status: StatusStore, log: CacheLog) {
    this.#status = status;
    this.#log = log;
  }

  async load(): Promise<void> {
    const listed = await this.#status.list();
    if (!listed.ok) return this.#log.warn({ reason: listed.error.message }, 'last good versions could not be read');
    for (const { key, record } of listed.value) if (record.lastGood) this.#known.set(keyText(key), record.lastGood);
  }

  of(key: ConfigKey): RawObject | undefined {
    return this.#known.get(keyText(key));
  }

  good(raw: RawObject): void {
    const text = keyText(raw.key);
    if (!keptGroups.has(raw.key.group) || JSON.stringify(this.#known.get(text)?.content) === JSON.stringify(raw.content)) return;
    this.#known.set(text, raw);
    this.#enqueue({ key: raw.key, record: { status: {}, lastGood: raw } });
  }

  gone(key: ConfigKey): void {
    if (this.#known.delete(keyText(key))) this.#enqueue({ key, record: undefined });
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  #enqueue(update: StatusUpdate): void {
    this.#queue.set(keyText(update.key), update);
    this.#writing ??= this.#drain().finally(() => { this.#writing = undefined; });
  }

  async #drain(): Promise<void> {
    while (this.#queue.size > 0) {
      const batch = [...this.#queue.values()].slice(0, maxBatch);
      for (const update of batch) this.#queue.delete(keyText(update.key));
      const written = await this.#status.write(batch);
      if (!written.ok) {
        this.#log.warn({ reason: written.error.message, objects: batch.length }, 'last good versions could not be kept; they stay in memory');
        return;
      }
    }
  }
}
