import { withDeadline } from '@meltemi/base';
import { processUsage } from '../machine.ts';
import type { Peer } from './peers.ts';
import { wrk } from './wrk.ts';

/** One turn of one peer. */
export interface Turn {
  readonly cpuMicrosPerRequest: number;
  readonly perSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly rssBytes: number;
}

export interface LoadOptions {
  readonly seconds: number;
  readonly connections: number;
  /** Core of wrk. */
  readonly core: number | undefined;
}

/** Loads a peer for its turn. Throws on any failed request: a proxy that fails fast must not win. */
export async function turn(peer: Peer, options: LoadOptions): Promise<Turn> {
  const before = processUsage(peer.child.pid);
  const load = await wrk(urlOf(peer), options);
  const after = processUsage(peer.child.pid);
  if (load.errors > 0) throw new Error(`${peer.name}: ${load.errors} of ${load.requests} requests failed\n${peer.child.log()}`);
  return {
    cpuMicrosPerRequest: (after.cpuMicros - before.cpuMicros) / load.requests,
    perSecond: load.perSecond, p50Micros: load.p50Micros, p99Micros: load.p99Micros, rssBytes: after.rssBytes,
  };
}

/** One request, checked: 200 and the 1 KB body. */
export async function check(peer: Peer): Promise<void> {
  const reply = await withDeadline(fetch(urlOf(peer)), 5000, `a request through ${peer.name}`);
  const body = await reply.text();
  if (reply.status !== 200 || body.length !== 1024) throw new Error(`${peer.name} answered ${reply.status} with ${body.length} bytes instead of 200 with 1024:\n${body.slice(0, 200)}\n${peer.child.log()}`);
}

function urlOf(peer: Peer): string {
  return `http://127.0.0.1:${peer.port}/`;
}
