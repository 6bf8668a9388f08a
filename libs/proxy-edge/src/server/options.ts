import type { Random } from '@meltemi/base';
import type { StreamInfo } from '@meltemi/http';
import type { FlatStats, StatsRegistry } from '@meltemi/observe';
import type { NodeFacts } from '@meltemi/proxy';
import type { AccessLog } from '@meltemi/snapshot';
import type { AcceptedSocket } from '../transport/accepted-socket.ts';
import type { Resolver } from '../upstream/dns.ts';

/** What a worker's server is built with. */
export interface WorkerServerOptions {
  readonly node: NodeFacts;
  readonly stats: FlatStats;
  readonly metrics: StatsRegistry;
  readonly log: WorkerLog;
  /** Several workers share each port. Default false. */
  readonly reusePort?: boolean;
  /** How long connections of replaced or removed listeners may stay. Default 45,000. */
  readonly drainTimeMs?: number;
  /** Default Math.random. */
  readonly random?: Random;
  /** Default the system's. */
  readonly resolver?: Resolver;
  /** Opens an access log once; the returned function writes one entry. Null: not written here. Default none. */
  openAccessLog?(log: AccessLog): ((info: StreamInfo) => void) | null;
  /** Where a captured connection was going (SO_ORIGINAL_DST), or null. Default: unknown. */
  getOriginalDst?(accepted: AcceptedSocket): { readonly ip: string; readonly port: number } | null;
}

export interface WorkerLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
