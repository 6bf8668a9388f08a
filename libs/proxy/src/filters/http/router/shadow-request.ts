import { HeaderMap, RequestHead } from '@meltemi/http';
import type { MirrorPolicy } from '@meltemi/route';
import type { Random } from '@meltemi/base';
import type { ResponseTarget } from '../../../http/response-target.ts';
import type { HeldBody } from '../../../http/held-body.ts';
import type { RequestWriter } from '../../../stream.ts';
import type { Clusters, PendingStream, StreamCallbacks, UpstreamCluster } from '../../../upstream.ts';
import { plainPick, type Host } from '../../../balance/index.ts';
import { serverNameFor } from './server-name.ts';

/** A mirrored request is given up after this long, whatever its route says: nobody waits for it. */
const longestShadowMs = 60_000;

interface ShadowOptions {
  readonly policy: MirrorPolicy;
  readonly request: RequestHead;
  readonly body: HeldBody | null;
  readonly clusters: Clusters;
  readonly random: Random;
  readonly after: (delayMs: number, task: () => void) => () => void;
}

/** Mirrors a complete request by its route's policies. */
export function sendShadows(policies: readonly MirrorPolicy[], request: RequestHead, body: HeldBody | null, { clock, clusters, random }: ResponseTarget): void {
  for (const policy of policies) sendShadow({ policy, request, body, clusters, random, after: (delayMs, task) => clock.after(delayMs, task) });
}

/** Sends a copy of a complete request to the mirror's cluster and forgets the answer. */
function sendShadow({ policy, request, body, clusters, random, after }: ShadowOptions): void {
  if (!policy.fraction.hit(random.next())) return;
  const name = policy.cluster ?? (policy.clusterHeader === null ? null : request.field(policy.clusterHeader));
  const cluster = name === null ? null : clusters.get(name);
  const host = cluster?.pick({ metadataMatch: null, previousHosts: null, maxAttempts: 1, random, ...plainPick }, '') ?? null;
  if (cluster === null || host === null || !cluster.limits.default.canRequest) return;
  const copy = new RequestHead(request.method, request.path, policy.appendShadowSuffix ? shadowHost(request.authority) : request.authority, new HeaderMap(request.headers.flat.slice()), request.scheme);
  new Shadow(copy, body, { cluster, host }).start(after);
}

/** "reviews:9080" → "reviews-shadow:9080". */
function shadowHost(authority: string): string {
  const colon = authority.lastIndexOf(':');
  return colon > authority.lastIndexOf(']') ? `${authority.slice(0, colon)}-shadow${authority.slice(colon)}` : `${authority}-shadow`;
}

class Shadow implements StreamCallbacks {
  readonly #request: RequestHead;
  readonly #body: HeldBody | null;
  readonly #cluster: UpstreamCluster;
  readonly #host: Host;
  #writer: RequestWriter | null = null;
  #pending: PendingStream | null = null;
  #cancel: (() => void) | null = null;
  /** Against the circuit breaker: from when it has a connection. */
  #counted = false;

  constructor(request: RequestHead, body: HeldBody | null, to: { cluster: UpstreamCluster; host: Host }) {
    this.#request = request;
    this.#body = body;
    this.#cluster = to.cluster;
    this.#host = to.host;
  }

  start(after: ShadowOptions['after']): void {
    this.#cluster.stats.rqTotal.inc();
    this.#host.state.activeRequests++;
    this.#cancel = after(longestShadowMs, () => {
      this.#pending?.cancel();
      this.#writer?.reset();
      this.#done();
    });
    this.#pending = this.#cluster.newStream(this.#host, { priority: 'default', upgrade: false, fresh: false, method: this.#request.method, serverName: serverNameFor(this.#cluster.config, this.#request), http2: this.#request.protocol === 'HTTP/2' }, this);
  }

  onReady(writer: RequestWriter): void {
    this.#pending = null;
    this.#writer = writer;
    this.#cluster.limits.default.requests++;
    this.#counted = true;
    const empty = this.#body === null || this.#body.bytes === 0;
    writer.head(this.#request, empty);
    if (empty) return;
    for (const part of this.#body?.parts ?? []) writer.data(part, 0, part.length);
    writer.end(null);
  }

  onPoolFailure(): void {
    this.#done();
  }
  onInterim(): void {}
  onHead(head: { status: number }, endStream: boolean): void {
    this.#cluster.stats.codes.charge(head.status);
    if (endStream) this.#done();
  }
  onData(): void {}
  onEnd(): void {
    this.#done();
  }
  onReset(): void {
    this.#done();
  }
  onWritable(): void {}

  #done(): void {
    if (this.#cancel === null) return;
    this.#cancel();
    this.#cancel = null;
    this.#writer = null;
    if (this.#counted) this.#cluster.limits.default.requests--;
    this.#host.state.activeRequests--;
  }
}
