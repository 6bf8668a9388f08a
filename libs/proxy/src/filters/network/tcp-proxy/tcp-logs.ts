import type { Clock } from '@meltemi/base';
import { LogType, type StreamInfo } from '@meltemi/http';
import type { TcpProxyConfig } from '@meltemi/snapshot';
import { NetworkStreamFilter, type ConnectionControls } from '../../../filter.ts';
import { every } from '../../../http/every.ts';

/** Logs a TCP session that goes on: when its upstream is connected and every now and then. Null when the config asks for neither. */
export function tcpLogsOnTheWay(config: TcpProxyConfig, clock: Clock, write: (info: StreamInfo) => void): NetworkStreamFilter | null {
  return config.flushAccessLogOnConnected || config.accessLogFlushIntervalMs > 0 ? new TcpLogs(config, clock, write) : null;
}

class TcpLogs extends NetworkStreamFilter {
  readonly #config: TcpProxyConfig;
  readonly #clock: Clock;
  readonly #write: (info: StreamInfo) => void;
  #cancel: (() => void) | null = null;

  constructor(config: TcpProxyConfig, clock: Clock, write: (info: StreamInfo) => void) {
    super();
    this.#config = config;
    this.#clock = clock;
    this.#write = write;
  }

  override onUpstream({ info }: ConnectionControls): void {
    if (this.#config.flushAccessLogOnConnected) this.#log(info, LogType.tcpUpstreamConnected);
    if (this.#config.accessLogFlushIntervalMs > 0) this.#cancel = every(this.#clock, this.#config.accessLogFlushIntervalMs, () => this.#log(info, LogType.tcpPeriodic));
  }

  override onClose(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #log(info: StreamInfo, type: number): void {
    info.logType = type;
    this.#write(info);
    info.logType = LogType.notSet;
  }
}
