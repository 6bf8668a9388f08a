import { ResponseFlag, type StreamInfo } from '@meltemi/http';
import type { Counter, FlatStats, Gauge } from '@meltemi/observe';

/** Envoy's counters of one TCP proxy. */
export class TcpStats {
  readonly #total: Counter;
  readonly #active: Gauge;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #noRoute: Counter;
  readonly #idle: Counter;
  readonly #duration: Counter;

  constructor(stats: FlatStats, statPrefix: string) {
    const counter = (name: string) => stats.counter(`tcp.${statPrefix}.${name}`);
    this.#total = counter('downstream_cx_total');
    this.#active = stats.gauge(`tcp.${statPrefix}.downstream_cx_active`);
    this.#received = counter('downstream_cx_rx_bytes_total');
    this.#sent = counter('downstream_cx_tx_bytes_total');
    this.#noRoute = counter('downstream_cx_no_route');
    this.#idle = counter('idle_timeout');
    this.#duration = counter('max_downstream_connection_duration');
  }

  began(): void {
    this.#total.inc();
    this.#active.inc();
  }

  ended(info: StreamInfo): void {
    this.#active.dec();
    this.#received.inc(info.bytesReceived);
    this.#sent.inc(info.bytesSent);
    if ((info.responseFlags & ResponseFlag.NC) !== 0) this.#noRoute.inc();
    if (info.connectionTerminationDetails === 'tcp_session_idle_timeout') this.#idle.inc();
    if (info.connectionTerminationDetails === 'max_duration_timeout') this.#duration.inc();
  }
}
