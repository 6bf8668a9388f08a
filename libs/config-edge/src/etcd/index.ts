export { EtcdClient, isTransient, type Listing } from './etcd-client.ts';
export { etcdFlags, etcdOptionsOf, type EtcdFlagValues } from './etcd-flags.ts';
export { checkEtcdOptions, parseEtcdUrl, type EtcdOptions, type EtcdTls, type EtcdUrl } from './etcd-options.ts';
