import type { OverloadActionName, OverloadConfig, ScaledTimer } from '@meltemi/snapshot';

/** How full the watched resources are, 0 to 1 and more. */
export interface Pressures {
  /** Memory of the process, against the configured size. */
  readonly heap: number;
  readonly connections: number;
  /** The worker's own JavaScript heap, against the size at which the engine gives it up. */
  readonly worker: number;
}

/** A worker's heap this full sheds requests, whatever is configured: the engine would end the worker and every stream in it. */
const workerShedsFrom = 0.92;
/** And this full it asks clients to leave with their next response. */
const workerDrainsFrom = 0.85;

/** What overload asks of this worker now: each action between 0 (off) and 1 (whole). Looked at per request, written now and then. @hot */
export class OverloadState {
  readonly config: OverloadConfig | null;
  /** Part of the requests that are answered 503. */
  shedRequests = 0;
  /** Part of the responses after which connections close. */
  closeConnections = 0;
  /** Part of the new connections that are closed. */
  rejectConnections = 0;
  shrinkHeap = 0;
  #reduceTimeouts = 0;
  readonly #timers: ReadonlyMap<ScaledTimer['timer'], ScaledTimer>;

  constructor(config: OverloadConfig | null) {
    this.config = config;
    this.#timers = new Map((config?.actions ?? []).flatMap((action) => action.timers.map((timer) => [timer.timer, timer] as const)));
  }

  update(pressures: Pressures): void {
    this.shedRequests = Math.max(this.#value('stop_accepting_requests', pressures), pressures.worker >= workerShedsFrom ? 1 : 0);
    this.closeConnections = Math.max(this.#value('disable_http_keepalive', pressures), pressures.worker >= workerDrainsFrom ? 1 : 0);
    // Deviation: Envoy leaves connections in the accept queue under stop_accepting_connections; here they are closed, as the runtime cannot stop accepting.
    this.rejectConnections = Math.max(this.#value('reject_incoming_connections', pressures), this.#value('stop_accepting_connections', pressures) >= 1 ? 1 : 0);
    this.shrinkHeap = this.#value('shrink_heap', pressures);
    this.#reduceTimeouts = this.#value('reduce_timeouts', pressures);
  }

  /** An action's value now, for statistics. */
  valueOf(name: OverloadActionName, pressures: Pressures): number {
    return this.#value(name, pressures);
  }

  /** A timeout as overload shortens it; 0 = none stays none. */
  timeout(timer: ScaledTimer['timer'], ms: number): number {
    const scaled = this.#reduceTimeouts > 0 && ms > 0 ? this.#timers.get(timer) : undefined;
    if (scaled === undefined) return ms;
    const least = Math.min(ms, scaled.minMs ?? ms * (scaled.minScale ?? 1));
    return Math.max(1, ms - (ms - least) * this.#reduceTimeouts);
  }

  #value(name: OverloadActionName, pressures: Pressures): number {
    let value = 0;
    for (const action of this.config?.actions ?? []) {
      if (action.name !== name) continue;
      for (const { monitor, from, to } of action.triggers) {
        const pressure = pressures[monitor];
        value = Math.max(value, pressure >= to ? 1 : pressure <= from ? 0 : (pressure - from) / (to - from));
      }
    }
    return value;
  }
}
