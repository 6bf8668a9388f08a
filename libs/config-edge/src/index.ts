export { openStateDir, type StateDirOptions, type StateDirOpened } from './state-dir/open-state-dir.ts';
export { openEtcdStore, type EtcdConfigStore } from './etcd/etcd-store.ts';
export { directorySource, type DirectorySourceOptions } from './directory/directory-source.ts';
