export { EtcdClient, isTransient, type Listing } from './etcd-client.ts';
export { prefixEnd } from './etcd-keys.ts';
export { checkEtcdOptions, parseEtcdUrl, type EtcdOptions, type EtcdTls } from './etcd-options.ts';
