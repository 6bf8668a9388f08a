import { join } from 'node:path';
import type { ConfigStore } from '@meltemi/config';
import { openEtcdStore, openStateDir } from '@meltemi/config-edge';
import { etcdOptionsOf, parseEtcdUrl } from '@meltemi/config-edge/etcd';
import { StartError, type Logger } from '@meltemi/observe-edge';
import type { PilotOptions } from './options.ts';

export interface OpenedStore {
  readonly store: ConfigStore;
  /** For people: "etcd at 127.0.0.1:2379". */
  readonly name: string;
}

/** The read-write store that --store names. Throws StartError saying what to do. */
export async function openStore(values: PilotOptions, log: Logger): Promise<OpenedStore> {
  const text = values.store ?? `dir:${join(values['state-dir'], 'store')}`;
  if (text.startsWith('dir:')) return openDirectory(text.slice('dir:'.length), log);
  const url = parseEtcdUrl(text);
  if (!url.ok) throw new StartError(`--store: ${url.error}; or dir:PATH for an embedded store`, { exitCode: 2 });
  const etcd = etcdOptionsOf(url.value, values);
  const opened = etcd.ok ? openEtcdStore(etcd.value) : etcd;
  if (!opened.ok) throw new StartError(`--store: ${opened.error}`, { exitCode: 2 });
  return { store: opened.value, name: `etcd at ${url.value.endpoints.join(', ')}` };
}

async function openDirectory(directory: string, log: Logger): Promise<OpenedStore> {
  const opened = await openStateDir({ directory });
  if (!opened.ok) throw new StartError(`--store: ${opened.error}`);
  if (opened.value.recovered) log.warn({ directory }, `store recovered: ${opened.value.recovered}`);
  return { store: opened.value.store, name: `store in ${directory}` };
}
