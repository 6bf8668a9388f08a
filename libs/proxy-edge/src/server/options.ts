import type { Random, Result } from '@meltemi/base';
import type { StreamInfo } from '@meltemi/http';
import type { FlatStats, StatsRegistry } from '@meltemi/observe';
import type { DrainStrategy, NodeFacts, SharedState } from '@meltemi/proxy';
import type { AccessLog } from '@meltemi/snapshot';
import type { SocketOptions } from '../transport/socket-options.ts';
import type { OverloadOptions } from './overload-monitor.ts';
import type { Resolver } from '../upstream/dns.ts';

/** What a worker's server is built with. */
export interface WorkerServerOptions {
  readonly node: NodeFacts;
  readonly stats: FlatStats;
  readonly metrics: StatsRegistry;
  readonly log: WorkerLog;
  /** Several workers share each port. Default false. */
  readonly reusePort?: boolean;
  /** Names this worker in the listeners' statistics. Default 0. */
  readonly workerIndex?: number;
  /** How long connections of replaced or removed listeners may stay. Default 45,000. */
  readonly drainTimeMs?: number;
  /** How clients of listeners that drain are asked to leave. Default immediate. */
  readonly drainStrategy?: DrainStrategy;
  /** What this worker knows in common with the others. Default: nothing. */
  readonly shared?: SharedState;
  /** Default Math.random. */
  readonly random?: Random;
  /** Default the system's. */
  readonly resolver?: Resolver;
  /** Default: no limits but the engine's on this worker's heap. */
  readonly overload?: OverloadOptions;
  /** Opens an access log once; the returned function writes one entry. Null: not written here. Default none. */
  openAccessLog?(log: AccessLog): ((info: StreamInfo) => void) | null;
  /** What reads and sets the socket options of captured connections. Default: the optional helper, loaded when a listener needs it. */
  readonly loadSocketOptions?: () => Promise<Result<SocketOptions>>;
}

export interface WorkerLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
