import { Server, type ServerOptions } from '@grpc/grpc-js';
import { HealthService } from '@meltemi/api/gen/grpc/health/v1/health.ts';
import { IstioCertificateServiceService } from '@meltemi/api/gen/istio/security/v1alpha1/ca.ts';
import { JwtSvidsService, TrustBundleService } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import type { Clock, Random, Rate } from '@meltemi/base';
import { MemoryReportStore, Roster, type CertificateService, type Rotation } from '@meltemi/citadel';
import { callLimits, defaultConnectionLimits, limitConnections, serverCredentials, type ConnectionLimits } from '@meltemi/identity-edge';
import type { StatsRegistry } from '@meltemi/observe';
import { AuthorityUpkeep } from './authority-upkeep.ts';
import { certificateHandlers, jwtSvidHandlers, trustBundleHandlers, type CitadelLog, type HandlerParts } from './certificate-handlers.ts';
import { Health } from './health-handlers.ts';
import { OwnCertificate } from './own-certificate.ts';
import { declareCitadelStats } from './stats.ts';
import { serveTokenSocket } from './token-socket.ts';
import { TrustWatchers } from './trust-watchers.ts';

export interface CitadelServerOptions {
  readonly service: CertificateService;
  /** host:port of the TLS port; port 0 takes any. */
  readonly listen: string;
  /** Where tokens are minted. */
  readonly socketPath: string;
  readonly log: CitadelLog;
  readonly stats: StatsRegistry;
  readonly clock: Clock;
  readonly random: Random;
  /** Lifetime of citadel's own certificate. Default: that of workloads. */
  readonly ownLifetimeMs?: number;
  /** How often the authority is looked after. Default an hour; less where it may be replaced from outside. */
  readonly maintenanceMs?: number;
  /** How often one client (an identity, or an address without one) may ask. Default 200 a second, 1,000 at once. */
  readonly ratePerClient?: Rate;
  readonly connections?: Partial<ConnectionLimits>;
  /** Who follows the trust bundle. Default: one that forgets with the process. */
  readonly roster?: Roster;
  /** Changes the root, where its key or its issuing CA's is here; it needs the same roster. */
  readonly rotation?: Rotation;
  /** What is wrong with the settings now, for status. Default: nothing. */
  readonly problems?: () => readonly string[];
}

export interface CitadelServer {
  /** What the TLS port was bound to. */
  readonly port: number;
  /** Lets calls under way finish until the deadline, then ends them. Later calls wait for the first. */
  stop(deadlineMs: number): Promise<void>;
}

const limits = {
  'grpc.max_receive_message_length': 65_536,
  'grpc.max_concurrent_streams': 100,
  'grpc.max_connection_idle_ms': 300_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 10_000,
} as const satisfies ServerOptions;

const defaultRatePerClient: Rate = { perSecond: 200, burst: 1000 };
/** Each replica of a workload follows the roots over one stream, and asks now and then. */
const maxOpenPerClient = 1200;
/** Without flags. */
export const citadelConnections: ConnectionLimits = { ...defaultConnectionLimits, maxConnections: 25_000, maxPerAddress: 5000, maxPerIdentity: 2500 };

const defaultMaintenanceMs = 3_600_000;

/** Serves the certificate service, the trust bundle and health on one TLS port, and join tokens on a Unix socket. Rejects with the reason when either cannot be bound. */
export async function startCitadelServer(options: CitadelServerOptions): Promise<CitadelServer> {
  const { service, clock, random, log } = options;
  const stats = declareCitadelStats(options.stats);
  const roster = options.roster ?? new Roster({ id: 'only', store: new MemoryReportStore(false), clock, onFailure: (reason) => log.error({ reason }, 'who follows the roots could not be written down') });
  const watchers = new TrustWatchers({ service, roster, clock });
  const parts: HandlerParts = { service, log, stats, roster, watchers };
  const own = await OwnCertificate.start({ service, clock, random, lifetimeMs: options.ownLifetimeMs, onFailure: (reason) => log.error({ reason }, "citadel's own certificate was not renewed") });
  const health = new Health([IstioCertificateServiceService.createCertificate.path.split('/')[1] ?? '', TrustBundleService.get.path.split('/')[1] ?? '']);
  const limited = (reason: string, client: string): void => {
    parts.stats.limited.labels(reason).inc();
    log.debug?.({ client, reason }, 'a client that has enough already is refused');
  };
  const server = new Server({ ...limits, interceptors: [callLimits({ maxOpenPerClient, ratePerClient: options.ratePerClient ?? defaultRatePerClient, onRefused: limited })] });
  server.addService(IstioCertificateServiceService, certificateHandlers(parts));
  server.addService(TrustBundleService, trustBundleHandlers(parts));
  server.addService(JwtSvidsService, jwtSvidHandlers(parts));
  server.addService(HealthService, health.handlers());
  const upkeep = new AuthorityUpkeep({
    service, roster, rotation: options.rotation, stats, log, clock, maintenanceMs: options.maintenanceMs ?? defaultMaintenanceMs,
    onChange: () => {
      own.renew();
      watchers.publish();
    },
  });
  const socket = await serveTokenSocket(options.socketPath, { ...parts, rotation: options.rotation, problems: options.problems ?? (() => []), refresh: () => upkeep.refresh() }).catch((cause: unknown) => {
    own.stop();
    throw cause;
  });
  upkeep.start();
  let stopped: Promise<void> | undefined;
  const stop = (deadlineMs: number): Promise<void> => (stopped ??= stopAll(deadlineMs));
  const stopAll = async (deadlineMs: number): Promise<void> => {
    upkeep.stop();
    health.drain();
    watchers.drain();
    await Promise.all([shutDown(server, deadlineMs), shutDown(socket.server, deadlineMs)]);
    await socket.remove();
    await Promise.all([roster.stop(), service.stop()]);
    own.stop();
  };
  try {
    // Callers without a certificate come with a token, so certificates are asked for and not required.
    const credentials = serverCredentials(own, { clientCertificate: 'request', sendRoot: true });
    const port = await new Promise<number>((resolve, reject) => server.bindAsync(options.listen, credentials, (error, bound) => (error ? reject(error) : resolve(bound))));
    limitConnections(server, { ...citadelConnections, ...options.connections, onRefused: limited });
    return { port, stop };
  } catch (cause) {
    await stop(0);
    throw cause;
  }
}

function shutDown(server: Server, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, deadlineMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
