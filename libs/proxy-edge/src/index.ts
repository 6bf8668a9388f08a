export { createWorkerServer, WorkerServer, type ListenerState } from './server/worker-server.ts';
export type { WorkerLog, WorkerServerOptions } from './server/options.ts';
export { ClusterManager, type ClusterManagerOptions } from './upstream/cluster-manager.ts';
export { systemResolver, type Resolver } from './upstream/dns.ts';
export { AcceptedSocket } from './transport/accepted-socket.ts';
export { listen, type ListenOptions, type ListenSocket } from './transport/listen.ts';
