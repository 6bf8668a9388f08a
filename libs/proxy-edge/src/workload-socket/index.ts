export { serveWorkloadSocket, type WorkloadSocket, type WorkloadSocketOptions } from './workload-socket.ts';
