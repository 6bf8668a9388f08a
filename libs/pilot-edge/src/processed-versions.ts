import type { StoreEvent, StoredObject } from '@meltemi/config';

/** Which store versions have taken effect. Versions of one store are numbers that grow, and are told in order. */
export class ProcessedVersions {
  #newest = '';
  #written = '';
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Of the newest write that has taken effect here: every pilot over the store reaches it. Not so `synced`, the store's counter at one's own start. Empty: none. */
  get written(): string {
    return this.#written;
  }

  /** An event of the store has taken effect. */
  took(event: StoreEvent): void {
    switch (event.type) {
      case 'put':
        this.#wrote(event.object.resourceVersion);
        if (event.lastOfCommit) this.#mark(event.version);
        return;
      case 'delete':
        if (event.missed !== true) this.#wrote(event.version);
        if (event.lastOfCommit) this.#mark(event.version);
        return;
      case 'resync':
        this.#resynced(event.objects, event.version);
        return;
      case 'synced':
        // An older store was put in this one's place.
        if (Number(this.#written) > Number(event.version)) this.#written = '';
        this.#mark(event.version);
        return;
      case 'unreadable':
      case 'unreadable-cleared':
        this.#mark(event.version);
        return;
      case 'interrupted':
        return;
    }
  }

  #wrote(version: string): void {
    if (Number(version) > Number(this.#written)) this.#written = version;
  }

  #mark(version: string): void {
    this.#newest = version;
    for (const waited of this.#waiting.keys()) if (this.#reached(waited)) this.#wake(waited);
  }

  /** After a relist everything written before it has taken effect, also where an older store was put in its place. */
  #resynced(objects: readonly StoredObject[], version: string): void {
    this.#written = '';
    for (const { resourceVersion } of objects) this.#wrote(resourceVersion);
    for (const waited of this.#waiting.keys()) this.#wake(waited);
    this.#mark(version);
  }

  #wake(version: string): void {
    const wakes = this.#waiting.get(version) ?? [];
    this.#waiting.delete(version);
    for (const wake of wakes) wake();
  }

  /** Resolves when this version has taken effect; rejects when the signal ends the wait. */
  wait(version: string, signal: AbortSignal): Promise<void> {
    if (version === '' || this.#reached(version)) return Promise.resolve();
    const late = () => new Error(`store version ${version} has not arrived here`);
    if (signal.aborted) return Promise.reject(late());
    return new Promise((resolve, reject) => {
      const set = this.#waiting.get(version) ?? new Set();
      this.#waiting.set(version, set);
      const wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = () => {
        set.delete(wake);
        if (set.size === 0) this.#waiting.delete(version);
        reject(late());
      };
      set.add(wake);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  #reached(version: string): boolean {
    return version === this.#newest || Number(version) <= Number(this.#newest || '-1');
  }
}
