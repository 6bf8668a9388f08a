import { ok } from '@meltemi/base';
import { formatResponseFlags } from '@meltemi/http';
import { declareIstioMetrics, istioTcpLabels, type Counter, type IstioMetrics } from '@meltemi/observe';
import { NetworkStreamFilter, type ConnectionControls, type NetworkFilterContext, type NetworkFilterFactory } from '../../../filter.ts';
import { factsOfEndpoint, namedLabels, serviceOfCluster, sideLabels, tellPeers } from '../../http/istio-stats/labels.ts';
import { istioStatsTypeUrl } from '../../http/istio-stats/istio-stats.ts';

/** Istio's standard TCP metrics: opened when the upstream is known, bytes and the close at the end. */
export const istioTcpStatsFilter: NetworkFilterFactory = {
  name: 'istio.stats',
  typeUrls: [istioStatsTypeUrl],
  trust: 'untrusted-downstream-and-upstream',
  parse: () => ok({}),
  bind(_config, ctx) {
    const metrics = declareIstioMetrics(ctx.metrics);
    return { create: () => new TcpStats(metrics, ctx) };
  },
};

class TcpStats extends NetworkStreamFilter {
  readonly #metrics: IstioMetrics;
  readonly #ctx: NetworkFilterContext;
  #opened = false;

  constructor(metrics: IstioMetrics, ctx: NetworkFilterContext) {
    super();
    this.#metrics = metrics;
    this.#ctx = ctx;
  }

  override onUpstream(controls: ConnectionControls): void {
    this.#opened = true;
    this.#metrics.tcpOpened.labels(...this.#labels(controls)).inc();
  }

  override onClose(controls: ConnectionControls): void {
    const labels = this.#labels(controls);
    if (!this.#opened) this.#metrics.tcpOpened.labels(...labels).inc();
    this.#metrics.tcpClosed.labels(...labels).inc();
    tellPeers(controls.info, namedLabels(istioTcpLabels, labels));
    count(this.#metrics.tcpReceivedBytes.labels(...labels), controls.info.bytesReceived);
    count(this.#metrics.tcpSentBytes.labels(...labels), controls.info.bytesSent);
  }

  #labels({ info }: ConnectionControls): string[] {
    const outbound = this.#ctx.direction !== 'inbound';
    const tls = outbound ? info.upstreamTls : info.connection.tls;
    const own = sideLabels(this.#ctx.node, tls?.localUriSans[0] ?? '');
    const other = sideLabels(outbound ? factsOfEndpoint(info) : null, tls?.peerUriSans[0] ?? '');
    const service = serviceOfCluster(this.#ctx.clusters, info.upstreamCluster) ?? { host: 'unknown', name: 'unknown', namespace: 'unknown' };
    const policy = outbound ? 'unknown' : tls?.peerValidated === true ? 'mutual_tls' : 'none';
    return [
      outbound ? 'source' : 'destination', ...(outbound ? own : other), ...(outbound ? other : own), service.host, service.name, service.namespace, 'tcp',
      formatResponseFlags(info.responseFlags), policy,
    ];
  }
}

function count(counter: Counter, bytes: number): void {
  if (bytes > 0) counter.inc(bytes);
}
