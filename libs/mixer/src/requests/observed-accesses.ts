import type { Clock } from '@meltemi/base';
import { inbound, numberOf, textOf, type Attributes } from '../attributes/vocabulary.ts';
import type { Template } from '../runtime.ts';

/** Who reached a workload with what, as the workload's own proxy saw it: no header, no query. What authorization can look at, but for what nobody should keep. */
export interface Access {
  /** namespace/name of the workload that was asked. */
  readonly workload: string;
  /** Of the application. */
  readonly port: number;
  readonly protocol: 'http' | 'tcp';
  /** SPIFFE id of the caller's verified certificate; "" over plaintext. */
  readonly principal: string;
  /** The caller's IP, kept only where there is no principal. */
  readonly sourceIp: string;
  /** "" for TCP, and for methods that access logs have no name for. */
  readonly method: string;
  readonly host: string;
  /** As authorization saw it, without query; "" for TCP, and where it is too long to be kept. */
  readonly path: string;
  /** The proxy refused it by an AuthorizationPolicy. */
  readonly denied: boolean;
}

/** How often, and how the application answered. */
export interface ObservedAccess extends Access {
  readonly count: number;
  /** Answers by their status: below 400, 4xx, 5xx or none. TCP connections count as `ok`. */
  readonly answers: { readonly ok: number; readonly clientError: number; readonly error: number };
  /** RFC 3339. */
  readonly firstSeen: string;
  readonly lastSeen: string;
}

export interface SeenAccess extends Access {
  /** HTTP status; 0 for none. */
  readonly status: number;
}

const maxPathLength = 1024;
const deniedDetails = /^rbac_access_denied/;

export const accessTemplate: Template<SeenAccess> = {
  name: 'access',
  instance(attributes: Attributes): SeenAccess | undefined {
    const [name, principal, details] = (['destination.workload.name', 'source.principal', 'response.code_details'] as const).map((one) => textOf(attributes, one, ''));
    const event = attributes.get('connection.event');
    const port = numberOf(attributes, 'destination.port');
    if (attributes.get('context.reporter.kind') !== inbound || !name || port === 0 || (event !== undefined && event !== 'close')) return undefined;
    const path = textOf(attributes, 'request.url_path', '');
    const http = event === undefined;
    return {
      workload: `${textOf(attributes, 'destination.workload.namespace', 'default')}/${name}`, port, protocol: http ? 'http' : 'tcp',
      principal: principal ?? '', sourceIp: principal ? '' : textOf(attributes, 'source.ip', ''),
      method: http ? textOf(attributes, 'request.method', '') : '', host: http ? textOf(attributes, 'request.host', '') : '', path: http && path.startsWith('/') && path.length <= maxPathLength ? path : '',
      denied: deniedDetails.test(details ?? ''), status: http ? numberOf(attributes, 'response.code') : 0,
    };
  },
};

interface Entry {
  readonly access: Access;
  readonly answers: { ok: number; clientError: number; error: number };
  count: number;
  readonly firstMs: number;
  lastMs: number;
}

/**
 * The different accesses seen lately: at most `max`. When there are more, the caller with the most different ones at one workload loses its oldest:
 * whoever tries a thousand paths pushes out nobody but itself.
 */
export class ObservedAccesses {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #idleMs: number;
  /** By caller and workload; within one, oldest first. */
  readonly #groups = new Map<string, Map<string, Entry>>();
  #size = 0;
  #forgotten = 0;

  constructor(options: { readonly clock: Clock; readonly max: number; readonly idleMs: number }) {
    this.#clock = options.clock;
    this.#max = options.max;
    this.#idleMs = options.idleMs;
  }

  /** How many different ones had to make room since the start. */
  get forgotten(): number {
    return this.#forgotten;
  }

  record({ status, ...access }: SeenAccess): void {
    if (this.#max === 0) return;
    const now = this.#clock.now();
    const groupKey = `${access.workload} ${access.principal || access.sourceIp} ${access.denied}`;
    const key = `${access.port} ${access.protocol} ${access.method} ${access.host} ${access.path}`;
    const group = this.#groups.get(groupKey) ?? new Map<string, Entry>();
    if (group.size === 0) this.#groups.set(groupKey, group);
    const known = group.get(key);
    const entry = known ?? { access, answers: { ok: 0, clientError: 0, error: 0 }, count: 0, firstMs: now, lastMs: now };
    entry.count += 1;
    entry.answers[answerOf(access, status)] += 1;
    entry.lastMs = now;
    group.delete(key);
    group.set(key, entry);
    if (known === undefined && ++this.#size > this.#max) this.#makeRoom(now);
  }

  /** Newest first; of one namespace's workloads when it is given. */
  read(namespace?: string): ObservedAccess[] {
    this.#expire(this.#clock.now());
    return [...this.#groups.values()].flatMap((group) => [...group.values()])
      .filter(({ access }) => namespace === undefined || access.workload.startsWith(`${namespace}/`))
      .toSorted((a, b) => b.lastMs - a.lastMs)
      .map(({ access, answers, count, firstMs, lastMs }) => ({ ...access, count, answers: { ...answers }, firstSeen: new Date(firstMs).toISOString(), lastSeen: new Date(lastMs).toISOString() }));
  }

  #makeRoom(now: number): void {
    this.#expire(now);
    while (this.#size > this.#max) {
      let largest = new Map<string, Entry>();
      for (const group of this.#groups.values()) if (group.size > largest.size) largest = group;
      const [oldest] = largest.keys();
      if (oldest === undefined) return;
      largest.delete(oldest);
      this.#size -= 1;
      this.#forgotten += 1;
    }
  }

  #expire(now: number): void {
    for (const [name, group] of this.#groups) {
      for (const [key, { lastMs }] of group) {
        if (lastMs >= now - this.#idleMs) break;
        group.delete(key);
        this.#size -= 1;
      }
      if (group.size === 0) this.#groups.delete(name);
    }
  }
}

function answerOf({ protocol }: Access, status: number): 'ok' | 'clientError' | 'error' {
  if (protocol === 'tcp' || (status >= 100 && status < 400)) return 'ok';
  return status >= 400 && status < 500 ? 'clientError' : 'error';
}
