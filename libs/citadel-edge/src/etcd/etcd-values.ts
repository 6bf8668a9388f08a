import type { Kept, SaveOutcome } from '@meltemi/citadel';
import type { EtcdClient } from '@meltemi/config-edge/etcd';
import type { NamedValue, SharedValues } from '../shared/shared-values.ts';
import { leaderKey } from './etcd-leadership.ts';

/** etcd takes at most 128 operations in one transaction. */
const removedAtOnce = 100;

/** Values in etcd, a key `<root>/<name>` each; a fence is the creation of `<root>/leader`. */
export class EtcdValues implements SharedValues {
  readonly #client: EtcdClient;
  readonly #root: string;

  constructor(client: EtcdClient, root: string) {
    this.#client = client;
    this.#root = root;
  }

  async get(name: string): Promise<Kept<string> | undefined> {
    const [kv] = (await this.#client.getMany([this.#key(name)])).kvs;
    return kv && { value: kv.value.toString(), revision: kv.mod_revision };
  }

  async revision(name: string): Promise<string | undefined> {
    return (await this.get(name))?.revision;
  }

  /** A lost answer is no lost write: the text is like no other, so if it is there on the next attempt, it was this one. An attempt delivered late finds another revision. */
  async put(name: string, value: string, { revision, fence }: { readonly revision: string | undefined; readonly fence?: string }): Promise<SaveOutcome> {
    const key = Buffer.from(this.#key(name));
    const response = await this.#client.retry(() =>
      this.#client.txn({
        compare: [
          { key, target: 'Mod', result: 'Equal', mod_revision: revision ?? '0' },
          ...(fence === undefined ? [] : [{ key: Buffer.from(leaderKey(this.#root)), target: 'Create', result: 'Equal', create_revision: fence } as const]),
        ],
        success: [{ request_put: { key, value: Buffer.from(value) } }],
        failure: [{ request_range: { key } }],
      }),
    );
    if (response.succeeded) return 'saved';
    return response.responses[0]?.response_range.kvs[0]?.value.toString() === value ? 'saved' : 'conflict';
  }

  async remove(names: readonly string[]): Promise<void> {
    for (let start = 0; start < names.length; start += removedAtOnce) {
      const success = names.slice(start, start + removedAtOnce).map((name) => ({ request_delete_range: { key: Buffer.from(this.#key(name)) } }));
      await this.#client.retry(() => this.#client.txn({ success }));
    }
  }

  async names(prefix: string): Promise<readonly string[]> {
    const { kvs } = await this.#client.list(this.#key(prefix), { keysOnly: true });
    return kvs.map((kv) => kv.key.toString().slice(this.#root.length + 1));
  }

  async list(prefix: string): Promise<readonly NamedValue[]> {
    const { kvs } = await this.#client.list(this.#key(prefix));
    return kvs.map((kv) => ({ name: kv.key.toString().slice(this.#root.length + 1), value: kv.value.toString(), revision: kv.mod_revision }));
  }

  #key(name: string): string {
    return `${this.#root}/${name}`;
  }
}
