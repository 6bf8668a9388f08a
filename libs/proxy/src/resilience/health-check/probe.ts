import type { ByteConnection } from '../../connection.ts';

/** How a check of one host ended. */
export type CheckResult = { readonly kind: 'passed'; readonly degraded: boolean } | CheckFailure;

export interface CheckFailure {
  readonly kind: 'failed';
  /** It takes unhealthy_threshold of them in a row; others count at once. */
  readonly counted: boolean;
  /** No answer came. */
  readonly network: boolean;
  /** The host asks for no traffic at all. */
  readonly excluded: boolean;
  readonly reason: string;
}

/** One way of asking one host how it is. One check at a time. */
export interface Probe {
  /** Starts a check; `done` is told once, also during the call. */
  start(done: (result: CheckResult) => void): void;
  /** Gives up what is under way, untold, and closes the connection. Another check may follow. */
  close(): void;
}

/** Connections of their own for checks of one host: the edge dials as the cluster says. */
export interface CheckTransport {
  /** Tells once how it went; the returned function gives up. */
  connect(result: { onOpen(connection: ByteConnection): void; onFailure(reason: string): void }): () => void;
}

/** No answer, or not in time. */
export function networkFailure(reason: string): CheckFailure {
  return { kind: 'failed', counted: true, network: true, excluded: false, reason };
}
