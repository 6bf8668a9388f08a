import type { ReportStore } from '@meltemi/citadel';
import type { EtcdClient } from '@meltemi/config-edge/etcd';

/** etcd takes at most 128 operations in one transaction. */
const writtenAtOnce = 100;

/** Who follows the trust bundle, at `<root>/reports/<key>`. No secrets, so not sealed. */
export class EtcdReportStore implements ReportStore {
  readonly shared = true;
  readonly #client: EtcdClient;
  readonly #prefix: string;

  constructor(client: EtcdClient, root: string) {
    this.#client = client;
    this.#prefix = `${root}/reports/`;
  }

  async loadReports(): Promise<ReadonlyMap<string, string>> {
    const { kvs } = await this.#client.list(this.#prefix);
    return new Map(kvs.map((kv) => [kv.key.toString().slice(this.#prefix.length), kv.value.toString()]));
  }

  async writeReports(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
    const operations = [...changes].map(([name, text]) => {
      const key = Buffer.from(`${this.#prefix}${name}`);
      return text === undefined ? { request_delete_range: { key } } : { request_put: { key, value: Buffer.from(text) } };
    });
    for (let start = 0; start < operations.length; start += writtenAtOnce) {
      const success = operations.slice(start, start + writtenAtOnce);
      await this.#client.retry(() => this.#client.txn({ success }));
    }
  }
}
