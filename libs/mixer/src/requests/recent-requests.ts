import type { Clock } from '@meltemi/base';
import { outbound, textOf, type Attributes } from '../attributes/vocabulary.ts';
import type { Template } from '../runtime.ts';

/** A request as its client's proxy saw it: no header, and no query, which may hold what is nobody's business. */
export interface SeenRequest {
  /** namespace/name of the workload that asked. */
  readonly from: string;
  readonly method: string;
  /** Authority and path. */
  readonly url: string;
}

export interface RecentRequest extends SeenRequest {
  readonly count: number;
  /** RFC 3339. */
  readonly lastSeen: string;
}

/** Longer ones are cut off nowhere else: they would be another request then. */
const maxUrlLength = 1024;

export const requestTemplate: Template<SeenRequest> = {
  name: 'request',
  instance(attributes: Attributes): SeenRequest | undefined {
    const [method, host, path, workload] = (['request.method', 'request.host', 'request.path', 'source.workload.name'] as const).map((name) => textOf(attributes, name, ''));
    if (attributes.get('context.reporter.kind') !== outbound || !method || !host || !workload || !path?.startsWith('/')) return undefined;
    const url = `http://${host}${path.split(/[?#]/, 1)[0]}`;
    return url.length > maxUrlLength ? undefined : { from: `${textOf(attributes, 'source.workload.namespace', 'default')}/${workload}`, method, url };
  },
};

/** The different requests seen lately: at most `max`, those not seen for longest are forgotten first. */
export class RecentRequests {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #idleMs: number;
  /** Oldest first: a Map keeps the order in which keys were added. */
  readonly #seen = new Map<string, { readonly request: SeenRequest; count: number; lastMs: number }>();

  constructor(options: { readonly clock: Clock; readonly max: number; readonly idleMs: number }) {
    this.#clock = options.clock;
    this.#max = options.max;
    this.#idleMs = options.idleMs;
  }

  record(request: SeenRequest): void {
    if (this.#max === 0) return;
    const key = `${request.from} ${request.method} ${request.url}`;
    const entry = this.#seen.get(key) ?? { request, count: 0, lastMs: 0 };
    entry.count += 1;
    entry.lastMs = this.#clock.now();
    this.#seen.delete(key);
    this.#seen.set(key, entry);
    if (this.#seen.size > this.#max) for (const oldest of this.#seen.keys()) return void this.#seen.delete(oldest);
  }

  /** Newest first; of one namespace's workloads when it is given. */
  read(namespace?: string): RecentRequest[] {
    const oldest = this.#clock.now() - this.#idleMs;
    return [...this.#seen.values()].reverse()
      .filter(({ request, lastMs }) => lastMs >= oldest && (namespace === undefined || request.from.startsWith(`${namespace}/`)))
      .map(({ request, count, lastMs }) => ({ ...request, count, lastSeen: new Date(lastMs).toISOString() }));
  }
}
