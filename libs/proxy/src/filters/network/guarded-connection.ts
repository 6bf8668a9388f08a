import type { StreamInfo } from '@meltemi/http';
import type { ByteConnection, ConnectionObserver } from '../../connection.ts';
import type { ConnectionControls, NetworkFilterConfig, NetworkStreamFilter } from '../../filter.ts';
import { FilterGate } from './filter-gate.ts';

export interface GuardedConnectionOptions {
  readonly info: StreamInfo;
  readonly filters: readonly NetworkFilterConfig[];
  monotonic(): number;
  /** Every filter let the connection pass: the HTTP connection manager takes it over. */
  begin(): void;
  onClose(guarded: GuardedConnection): void;
}

/** A connection with network filters in front of its HTTP connection manager, which knows nothing of them. */
export class GuardedConnection implements ConnectionControls, ConnectionObserver {
  readonly connection: ByteConnection;
  readonly info: StreamInfo;
  readonly #options: GuardedConnectionOptions;
  readonly #filters: readonly NetworkStreamFilter[];
  readonly #gate: FilterGate;

  constructor(connection: ByteConnection, options: GuardedConnectionOptions) {
    this.connection = connection;
    this.info = options.info;
    this.#options = options;
    this.#filters = options.filters.flatMap((filter) => filter.create(this) ?? []);
    this.#gate = new FilterGate(this.#filters, () => options.begin());
    if (this.#filters.length > 0) connection.observer = this;
  }

  start(): void {
    this.#gate.start(this);
  }

  continueReading(): void {
    this.#gate.continue(this);
  }

  close(details: string, flags = 0): void {
    this.info.connectionTerminationDetails ??= details;
    this.info.responseFlags |= flags;
    this.#gate.end();
    this.connection.destroy();
  }

  onRead(bytes: number): void {
    this.info.bytesReceived += bytes;
    for (const filter of this.#filters) {
      if (this.connection.closed) return;
      filter.onRead(this, bytes);
    }
  }

  onWrite(bytes: number): void {
    this.info.bytesSent += bytes;
    for (const filter of this.#filters) filter.onWrite(this, bytes);
  }

  onClose(): void {
    this.#gate.end();
    this.info.endMonoMs = this.#options.monotonic();
    for (const filter of this.#filters) filter.onClose(this);
    this.#options.onClose(this);
  }
}
