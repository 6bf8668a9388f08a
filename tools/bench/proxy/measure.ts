import { withDeadline } from '@meltemi/base';
import { processUsage } from '../machine.ts';
import type { Peer } from './peers.ts';
import { wrk } from './wrk.ts';

/** One turn of one peer. */
export interface Turn {
  readonly requests: number;
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
    requests: load.requests,
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

/** Throws unless our proxy counted at least so many requests in istio_requests_total: all filters of a sidecar took part. */
export async function checkCounted({ adminPort }: Peer, requests: number): Promise<void> {
  if (adminPort === undefined) return;
  const page = await (await withDeadline(fetch(`http://127.0.0.1:${adminPort}/stats/prometheus`), 5000, "the proxy's metrics")).text();
  const counted = [...page.matchAll(/^istio_requests_total\{.*\} (\d+)/gm)].reduce((sum, found) => sum + Number(found[1]), 0);
  if (counted < requests) throw new Error(`istio_requests_total is ${counted} after ${requests} requests: the sidecar filters did not all run`);
}

function urlOf(peer: Peer): string {
  return `http://127.0.0.1:${peer.port}/`;
}
