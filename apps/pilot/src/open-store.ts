import { join } from 'node:path';
import { systemClock } from '@meltemi/base';
import { statusLeasedValues, type ConfigStore, type LeasedValues } from '@meltemi/config';
import { openEtcdStore, openStateDir } from '@meltemi/config-edge';
import { etcdOptionsOf, parseEtcdUrl } from '@meltemi/config-edge/etcd';
import { StartError, type Logger } from '@meltemi/observe-edge';
import type { PilotOptions } from './options.ts';

export interface OpenedStore {
  readonly store: ConfigStore;
  /** For people: "etcd at 127.0.0.1:2379". */
  readonly name: string;
  /** What pilots over this store know of each other; undefined where there is only one. */
  readonly pilots: LeasedValues | undefined;
  /** Workloads that registered themselves, with any pilot over this store. */
  readonly registered: LeasedValues;
}

export interface OpenStoreOptions {
  readonly log: Logger;
  /** How long an entry outlives the last connection of its workload. */
  readonly graceMs: number;
}

/** Of pilots' own records: a pilot that was killed is missed for so long. */
const pilotLeaseMs = 10_000;

/** The read-write store that --store names. Throws StartError saying what to do. */
export async function openStore(values: PilotOptions, { log, graceMs }: OpenStoreOptions): Promise<OpenedStore> {
  const text = values.store ?? `dir:${join(values['state-dir'], 'store')}`;
  if (text.startsWith('dir:')) return openDirectory(text.slice('dir:'.length), { log, graceMs });
  const url = parseEtcdUrl(text);
  if (!url.ok) throw new StartError(`--store: ${url.error}; or dir:PATH for an embedded store`, { exitCode: 2 });
  const etcd = etcdOptionsOf(url.value, values);
  const opened = etcd.ok ? openEtcdStore(etcd.value) : etcd;
  if (!opened.ok) throw new StartError(`--store: ${opened.error}`, { exitCode: 2 });
  const store = opened.value;
  const failure = (what: string) => (reason: string): void => log.warn({ reason, what }, 'etcd does not keep this for now; it is tried again. A role of pilot\'s own needs all keys below its root');
  return {
    store, name: `etcd at ${url.value.endpoints.join(', ')}`,
    pilots: store.leased('pilots', { leaseMs: pilotLeaseMs, onFailure: failure('which pilots there are') }),
    // Two thirds of a lease are sure: a workload that comes back within the grace finds its entry.
    registered: store.leased('registered', { leaseMs: graceMs * 1.5, onFailure: failure('registered workloads') }),
  };
}

async function openDirectory(directory: string, { log, graceMs }: OpenStoreOptions): Promise<OpenedStore> {
  const opened = await openStateDir({ directory });
  if (!opened.ok) throw new StartError(`--store: ${opened.error}`);
  if (opened.value.recovered) log.warn({ directory }, `store recovered: ${opened.value.recovered}`);
  const { store } = opened.value;
  const registered = statusLeasedValues({ status: store.status, kind: 'RegisteredEntry', clock: systemClock, leaseMs: graceMs, onFailure: (reason) => log.warn({ reason }, 'registered workloads could not be kept for now') });
  return { store, name: `store in ${directory}`, pilots: undefined, registered };
}
