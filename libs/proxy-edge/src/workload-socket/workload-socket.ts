import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { SecretDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/secret/v3/sds.ts';
import { SpiffeWorkloadAPIService } from '@meltemi/api/gen/spiffe/workload.ts';
import { withDeadline } from '@meltemi/base';
import type { CertificateSource } from '@meltemi/identity-edge';
import { bindPrivately } from '@meltemi/observe-edge';
import { resourceSet, xdsResource, xdsType } from '@meltemi/xds';
import { secretService } from '@meltemi/xds-edge';
import { identitySecrets } from '../control/identity-secrets.ts';
import type { PoolLog } from '../control/worker-pool.ts';
import { loadSocketOptions, type SocketOptions } from '../transport/socket-options.ts';
import { WorkloadApi, type JwtSource } from './workload-api.ts';

export interface WorkloadSocketOptions {
  readonly path: string;
  /** Whose members may connect too. Default: this process' user alone, and root. */
  readonly gid?: number | undefined;
  readonly identity: CertificateSource;
  /** Of the same identity. */
  readonly jwt: JwtSource;
  readonly log: PoolLog;
}

/** A workload's identity for other programs on its host: Envoy's SDS and the SPIFFE Workload API on one Unix socket. */
export interface WorkloadSocket {
  /** Ends every stream and removes the socket. */
  stop(): Promise<void>;
}

/** Connections at once; what comes above is closed. */
const maxConnections = 64;
/** Streams of each of the two services over all connections. */
const maxStreams = 256;
const limits = {
  'grpc.max_receive_message_length': 65_536,
  'grpc.max_concurrent_streams': 32,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 10_000,
} as const;
const stopMs = 1000;

/**
 * Serves the identity at `path`. Who may open the socket (mode 0600, or 0660 with a group) has the identity; where the kernel can be asked who
 * connected, users other than ours and root are refused besides. Rejects with StartError when it cannot be bound.
 */
export async function serveWorkloadSocket({ path, gid, identity, jwt, log }: WorkloadSocketOptions): Promise<WorkloadSocket> {
  const kernel = await loadSocketOptions();
  const secrets = secretService({ maxStreams, maxNames: 16, maxResponseBytes: 1 << 20, log: { info: () => {}, warn: (fields, message) => log.warn(fields, message) } });
  const workloadApi = new WorkloadApi(maxStreams, jwt);
  const grpc = new Server(limits);
  grpc.addService(SecretDiscoveryServiceService, secrets.handlers);
  grpc.addService(SpiffeWorkloadAPIService, workloadApi.handlers());
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const server = createServer((socket) => {
    const stranger = strangerOf(socket, kernel.ok ? kernel.value : null, gid);
    if (stranger === null) return injector.injectConnection(socket);
    log.warn({ ...stranger }, 'a program of another user connected to the workload socket and was refused');
    socket.destroy();
  });
  server.maxConnections = maxConnections;
  server.on('drop', () => log.warn({ maxConnections }, 'a connection to the workload socket was refused: too many are open'));
  await bindPrivately(path, (bound) => listen(server, bound), { flag: 'workload-socket', owner: 'proxy', gid });
  const unsubscribe = identity.subscribe((certificate) => {
    secrets.serve(resourceSet(xdsType.secret, identitySecrets(certificate).map(({ name, bytes }) => xdsResource(name, { typeUrl: xdsType.secret, value: Buffer.from(bytes) }))));
    workloadApi.serve(certificate);
  });
  log.info({ path, peers: peersText(kernel.ok, gid) }, 'workload socket open: SDS and the SPIFFE Workload API');
  return {
    async stop() {
      unsubscribe();
      secrets.stop();
      workloadApi.stop();
      // While it still answers: later it may be another proxy's.
      await rm(path, { force: true });
      const closed = once(server, 'close');
      server.close();
      injector.drain(stopMs);
      await withDeadline(closed, 2 * stopMs, 'closing the workload socket').catch(() => undefined);
      injector.destroy();
      grpc.forceShutdown();
    },
  };
}

function peersText(kernelAsked: boolean, gid: number | undefined): string {
  if (gid !== undefined) return `by the socket's mode: group ${gid}`;
  return kernelAsked ? 'this user and root, by mode and by SO_PEERCRED' : 'this user and root, by mode';
}

/** The credentials of a peer that the socket's mode should have kept out; null when all is well. */
function strangerOf(socket: Socket, kernel: SocketOptions | null, gid: number | undefined): object | null {
  // Which groups a peer is in the kernel does not tell here: the mode decides.
  if (gid !== undefined || kernel === null) return null;
  const fd = (socket as unknown as { readonly _handle: { readonly fd: number } | null })._handle?.fd ?? -1;
  const peer = kernel.peerCredentials(fd);
  if (peer === null) return { reason: 'the kernel does not tell who it is' };
  return peer.uid === 0 || peer.uid === process.getuid?.() ? null : peer;
}

function listen(server: NetServer, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
