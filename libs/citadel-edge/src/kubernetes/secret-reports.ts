import { createHash } from 'node:crypto';
import type { ReportStore } from '@meltemi/citadel';
import type { SharedValues } from '../shared/shared-values.ts';

const prefix = 'reports/';

interface Shard {
  readonly revision: string | undefined;
  readonly reports: ReadonlyMap<string, string>;
}

/**
 * Who follows the trust bundle, beside a keystore that one citadel owns: 16 values, so that each stays below a Secret's megabyte and few are written at once.
 * No secrets, so not sealed.
 */
export class SecretReportStore implements ReportStore {
  readonly shared = false;
  readonly #values: SharedValues;
  #shards: Promise<Map<string, Shard>> | undefined;
  #writes = 0;

  constructor(values: SharedValues) {
    this.#values = values;
  }

  async loadReports(): Promise<ReadonlyMap<string, string>> {
    return new Map([...(await this.#load()).values()].flatMap(({ reports }) => [...reports]));
  }

  async writeReports(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
    const shards = await this.#load();
    for (const [name, changed] of Map.groupBy(changes, ([key]) => shardOf(key))) {
      const { revision, reports } = shards.get(name) ?? { revision: undefined, reports: new Map<string, string>() };
      const next = new Map(reports);
      for (const [key, text] of changed) {
        if (text === undefined) next.delete(key);
        else next.set(key, text);
      }
      shards.set(name, { revision: await this.#write(name, next, revision), reports: next });
    }
  }

  async #write(name: string, reports: ReadonlyMap<string, string>, revision: string | undefined): Promise<string | undefined> {
    try {
      const text = JSON.stringify({ write: (this.#writes += 1), reports: Object.fromEntries(reports) });
      if ((await this.#values.put(name, text, { revision })) === 'saved') return await this.#values.revision(name);
      throw new Error('somebody else writes who follows the roots: one citadel alone may use this keystore');
    } catch (cause) {
      // What is there now is not known any more.
      this.#shards = undefined;
      throw cause;
    }
  }

  #load(): Promise<Map<string, Shard>> {
    const loading = (this.#shards ??= this.#read());
    loading.catch(() => (this.#shards = undefined));
    return loading;
  }

  async #read(): Promise<Map<string, Shard>> {
    return new Map((await this.#values.list(prefix)).map(({ name, value, revision }) => [name, { revision, reports: parse(value) }]));
  }
}

function shardOf(key: string): string {
  return `${prefix}${createHash('sha256').update(key).digest('hex').slice(0, 1)}`;
}

/** A damaged value is as good as none: it holds nothing that cannot be learned anew. */
function parse(text: string): Map<string, string> {
  try {
    const { reports } = (JSON.parse(text) ?? {}) as { readonly reports?: unknown };
    return new Map(Object.entries(reports ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
  } catch {
    return new Map();
  }
}
