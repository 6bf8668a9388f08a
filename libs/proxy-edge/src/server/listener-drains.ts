import type { DrainPace } from '@meltemi/proxy';
import type { Listener } from '@meltemi/snapshot';

/** What /drain_listeners asks for. */
export interface DrainRequest {
  /** Only listeners with traffic_direction INBOUND. */
  readonly inboundOnly: boolean;
  /** Listeners go on accepting until the drain time is over. */
  readonly graceful: boolean;
  /** With graceful: they go on accepting after that, too. */
  readonly skipExit: boolean;
}

interface Begun {
  readonly request: DrainRequest;
  readonly pace: DrainPace;
  /** Listeners it covers accept nothing, now and later. */
  stopped: boolean;
}

/**
 * Drains that an operator asked for. They hold until the program ends: a listener that comes or changes later drains as those before it, or
 * does not listen at all, as in Envoy.
 */
export class ListenerDrains {
  /** Set while the admin endpoint says /healthcheck/fail: listeners of the default drain_type ask clients to leave. */
  unhealthy: DrainPace | null = null;
  readonly #begun: Begun[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #stop: (covers: (listener: Listener) => boolean) => void;

  /** `stop` is called when listeners are to stop accepting. */
  constructor(stop: (covers: (listener: Listener) => boolean) => void) {
    this.#stop = stop;
  }

  /** `leftMs` is the rest of the drain time. A graceful drain within one under way changes nothing. */
  begin(request: DrainRequest, pace: DrainPace, leftMs: number): void {
    if (request.graceful && this.#begun.some((before) => request.inboundOnly || !before.request.inboundOnly)) return;
    const begun: Begun = { request, pace, stopped: false };
    this.#begun.push(begun);
    if (!request.graceful) return this.#end(begun);
    if (request.skipExit) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#end(begun);
    }, Math.min(leftMs, 0x7fffffff));
    timer.unref();
    this.#timers.add(timer);
  }

  /** How this listener drains; null when it does not. */
  paceOf(listener: Listener): DrainPace | null {
    return this.#begun.find(({ request }) => covers(request, listener))?.pace ?? (listener.drainType === 'default' ? this.unhealthy : null);
  }

  /** This listener must not listen any more. */
  stopped(listener: Listener): boolean {
    return this.#begun.some((begun) => begun.stopped && covers(begun.request, listener));
  }

  /** Cancels what was to come. */
  destroy(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #end(begun: Begun): void {
    begun.stopped = true;
    this.#stop((listener) => covers(begun.request, listener));
  }
}

function covers({ inboundOnly }: DrainRequest, listener: Listener): boolean {
  return !inboundOnly || listener.trafficDirection === 'inbound';
}
