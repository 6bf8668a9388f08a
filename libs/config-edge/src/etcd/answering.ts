import { err, type Result } from '@meltemi/base';
import type { StoreError } from '@meltemi/config';
import type { EtcdClient } from './etcd-client.ts';

/** Turns what etcd3 throws into the port's errors. */
export async function answering<T>(client: EtcdClient, task: () => Promise<Result<T, StoreError>>): Promise<Result<T, StoreError>> {
  const closed: StoreError = { code: 'closed', message: 'the config store is closed' };
  if (client.closed) return err(closed);
  try {
    return await task();
  } catch (cause) {
    if (client.closed) return err(closed);
    return err({ code: 'unavailable', message: `etcd: ${cause instanceof Error ? cause.message : String(cause)}`, outcomeUnknown: false });
  }
}
