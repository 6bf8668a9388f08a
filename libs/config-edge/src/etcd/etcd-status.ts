import type { ICompare, IRequestOp } from 'etcd3';
import { err, ok, type Result } from '@meltemi/base';
import { sealStatus, type StatusEvent, type StatusStore, type StatusUpdate, type StoreError, type StoreLimits } from '@meltemi/config';
import type { EtcdClient } from './etcd-client.ts';
import { configKeyOf, etcdKey } from './etcd-keys.ts';
import { answering } from './answering.ts';
import { readStatus } from './etcd-values.ts';
import type { FencedWriter } from './fenced-writer.ts';
import { followPrefix, type PrefixStep } from './follow-prefix.ts';

export interface EtcdStatusOptions {
  readonly client: EtcdClient;
  readonly writer: FencedWriter;
  readonly root: string;
  readonly limits: StoreLimits;
  readonly silenceMs: number;
}

/** The statuses under `<root>/status/`. A value there that is no status counts as none. */
export function etcdStatusStore(options: EtcdStatusOptions): StatusStore {
  const { client, writer, root, limits, silenceMs } = options;
  const prefix = `${root}/status/`;
  return {
    get: (key) =>
      answering(client, async () => {
        const { kvs } = await client.getMany([etcdKey(root, 'status', key)]);
        return ok(kvs[0] === undefined ? undefined : readStatus(prefix, kvs[0])?.record);
      }),
    list: () =>
      answering(client, async () => {
        const { kvs } = await client.list(prefix);
        return ok(kvs.flatMap((kv) => readStatus(prefix, kv) ?? []));
      }),
    write: async (updates) => {
      const sealed = sealStatus(updates, limits);
      return sealed.ok ? writer.inTurn(() => answering(client, () => writeStatus(options, sealed.value))) : sealed;
    },
    async *watch(signal): AsyncGenerator<StatusEvent> {
      const until = AbortSignal.any([signal, client.closing]);
      for await (const step of followPrefix({ client, prefix, from: undefined, silenceMs }, until)) {
        for (const event of statusEvents(prefix, step)) {
          if (until.aborted) return;
          yield event;
        }
      }
    },
  };
}

async function writeStatus({ client, writer, root }: EtcdStatusOptions, all: readonly StatusUpdate[]): Promise<Result<void, StoreError>> {
  const endMs = Date.now() + client.timeoutMs;
  for (;;) {
    const guarded = all.filter(({ unlessStored }) => unlessStored);
    const objectKeys = guarded.map(({ key }) => etcdKey(root, 'config', key));
    const keys = all.map(({ key }) => etcdKey(root, 'status', key));
    const objects = objectKeys.length === 0 ? [] : (await client.getMany(objectKeys)).kvs;
    const stored = new Set(guarded.filter((_, index) => objects[index] !== undefined));
    const { kvs } = await client.getMany(keys);
    const operations = all.flatMap((update, index): IRequestOp[] => {
      if (stored.has(update)) return [];
      const key = Buffer.from(keys[index] ?? '');
      const before = kvs[index];
      if (update.record === undefined) return before === undefined ? [] : [{ request_delete_range: { key } }];
      const value = Buffer.from(JSON.stringify(update.record));
      return before?.value.equals(value) === true ? [] : [{ request_put: { key, value } }];
    });
    if (operations.length === 0) return ok(undefined);
    const compare = objectKeys.filter((_, index) => objects[index] === undefined).map((key): ICompare => ({ key: Buffer.from(key), target: 'Create', result: 'Equal', create_revision: '0' }));
    const outcome = await writer.write(compare, operations, endMs);
    if (outcome.type === 'applied') return ok(undefined);
    // An object came meanwhile.
    if (outcome.type === 'refused' && Date.now() < endMs) continue;
    const reason = outcome.type === 'failed' ? outcome.reason : 'the write was refused';
    return err({ code: 'unavailable', message: `etcd: ${reason}`, outcomeUnknown: outcome.type === 'failed' && outcome.outcomeUnknown });
  }
}

function statusEvents(prefix: string, step: PrefixStep): StatusEvent[] {
  switch (step.type) {
    case 'interrupted':
      return [];
    case 'caught-up':
      return [{ type: 'synced' }];
    case 'base':
    case 'reset':
      return step.kvs.flatMap((kv) => putEvent(readStatus(prefix, kv)));
    case 'commit':
      return step.changes.flatMap(({ key, kv }): StatusEvent[] => {
        const status = kv === undefined ? undefined : readStatus(prefix, kv);
        if (status !== undefined) return putEvent(status);
        const name = configKeyOf(prefix, key);
        return name === undefined ? [] : [{ type: 'delete', key: name, record: undefined }];
      });
  }
}

function putEvent(status: StatusUpdate | undefined): StatusEvent[] {
  return status === undefined ? [] : [{ type: 'put', key: status.key, record: status.record }];
}
