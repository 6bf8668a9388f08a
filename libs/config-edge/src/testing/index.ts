export { startEtcdCluster, type EtcdCluster, type EtcdClusterOptions, type EtcdMember } from './etcd-cluster.ts';
export { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';
