import { withDeadline } from '@meltemi/base';
import { usageOf, type Bench } from './bench-run.ts';
import type { Contestant, Sample } from './case.ts';
import { wrk, type WrkOptions } from './loads/wrk.ts';
import { startPair, startPeer, type RunningPeer } from './peers/start.ts';
import type { PeerName, Shape } from './peers/shape.ts';

/** What a load saw in one turn. */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  /** Further columns. */
  readonly sample: Sample;
}

export type LoadFunction = (bench: Bench, target: { readonly port: number }, seconds: number) => Promise<LoadResult>;

export interface Through {
  /** Default: the peer's name. */
  readonly name?: string;
  readonly shape: Shape;
  /** Two proxies in a row with mTLS between them. */
  readonly pair?: boolean;
  readonly load: LoadFunction;
  /** One request, checked, before anything is measured. */
  readonly check?: (bench: Bench, peer: RunningPeer) => Promise<void>;
  /** Load of another kind that comes first, for so many seconds: a slow load would measure compilers at work. */
  readonly warmUp?: { readonly load: LoadFunction; readonly seconds: number };
  /** Our proxy must have counted every request in istio_requests_total. Default: for HTTP/1.1 and HTTP/2. */
  readonly counted?: boolean;
}

/** A peer of this shape under this load; CPU per request and memory are columns cpu (µs) and rss (MB). */
export function through(peer: PeerName, { name = peer, shape, pair, load, check, warmUp, counted = shape.protocol !== 'tcp' }: Through): Contestant {
  return {
    name,
    async start(bench) {
      const running = await (pair ? startPair : startPeer)(bench, peer, shape);
      await check?.(bench, running);
      await warmUp?.load(bench, running, warmUp.seconds);
      let requests = 0;
      return {
        async turn(seconds) {
          const before = usageOf(running.children);
          const result = await load(bench, running, seconds);
          const after = usageOf(running.children);
          requests += result.requests;
          if (result.errors > 0 || result.requests === 0) throw new Error(`${name}: ${result.errors} of ${result.requests} requests failed\n${logs(running)}`);
          return { ...result.sample, cpu: (after.cpuMicros - before.cpuMicros) / result.requests, rss: after.rssBytes / 2 ** 20 };
        },
        async finish() {
          if (counted) for (const adminPort of running.adminPorts) await checkCounted(adminPort, requests);
        },
      };
    },
  };
}

/** wrk on a path of the peer, with its latencies in milliseconds. */
export function wrkLoad(options: Omit<WrkOptions, 'seconds'>, path = '/', scheme: 'http' | 'https' = 'http', bytes = 0): LoadFunction {
  return async (bench, { port }, seconds) => {
    const seen = await wrk(bench, `${scheme}://127.0.0.1:${port}${path}`, { ...options, seconds });
    return { requests: seen.requests, errors: seen.errors, sample: { perSecond: seen.perSecond, p50: seen.p50Micros / 1000, p99: seen.p99Micros / 1000, mbPerSecond: (seen.perSecond * bytes) / 1e6 } };
  };
}

/** One request by curl, checked: 200 and so many bytes. */
export function checkWithCurl(path: string, bytes: number, more: (bench: Bench) => readonly string[] = () => [], scheme: 'http' | 'https' = 'http') {
  return async (bench: Bench, peer: RunningPeer): Promise<void> => {
    const answer = await bench.run(['curl', '-sS', '-k', '-o', '/dev/null', '-w', '%{http_code} %{size_download}', ...more(bench), `${scheme}://127.0.0.1:${peer.port}${path}`], 10)
      .catch((cause: unknown) => { throw new Error(`${peer.peer} did not answer: ${String(cause)}\n${logs(peer)}`); });
    if (answer !== `200 ${bytes}`) throw new Error(`${peer.peer} answered "${answer}" (status, bytes) instead of "200 ${bytes}"\n${logs(peer)}`);
  };
}

/** Throws unless our proxy counted at least so many requests: all filters of a sidecar took part. */
async function checkCounted(adminPort: number, requests: number): Promise<void> {
  const page = await (await withDeadline(fetch(`http://127.0.0.1:${adminPort}/stats/prometheus`), 5000, "the proxy's metrics")).text();
  const counted = [...page.matchAll(/^istio_requests_total\{.*\} (\d+)/gm)].reduce((sum, found) => sum + Number(found[1]), 0);
  if (counted < requests) throw new Error(`istio_requests_total is ${counted} after ${requests} requests: the sidecar filters did not all run`);
}

function logs({ children }: RunningPeer): string {
  return children.map((child) => child.log()).filter((text) => text !== '').join('\n');
}
