import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReportStore } from '@meltemi/citadel';
import { replaceFile } from '@meltemi/identity-edge';
import { readBounded } from './read-bounded.ts';

const maxBytes = 64 * 1024 * 1024;

/** Who follows the trust bundle, in `followers.json` beside a keystore on disk: a citadel that was killed knows whom to wait for. No secrets. */
export class DiskReportStore implements ReportStore {
  readonly shared = false;
  readonly #dir: string;
  readonly #path: string;
  #reports: Promise<Map<string, string>> | undefined;

  constructor(dir: string) {
    this.#dir = dir;
    this.#path = join(dir, 'followers.json');
  }

  async loadReports(): Promise<ReadonlyMap<string, string>> {
    return new Map(await this.#load());
  }

  async writeReports(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
    const next = new Map(await this.#load());
    for (const [key, text] of changes) {
      if (text === undefined) next.delete(key);
      else next.set(key, text);
    }
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await chmod(this.#dir, 0o700);
    await replaceFile(this.#path, `${JSON.stringify(Object.fromEntries(next), null, 1)}\n`);
    this.#reports = Promise.resolve(next);
  }

  #load(): Promise<Map<string, string>> {
    return (this.#reports ??= this.#read());
  }

  /** A damaged file is as good as none: it holds nothing that cannot be learned anew. */
  async #read(): Promise<Map<string, string>> {
    const text = await readBounded(this.#path, maxBytes);
    try {
      const value: unknown = JSON.parse(text ?? '{}');
      return new Map(Object.entries(value ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
    } catch {
      return new Map();
    }
  }
}
