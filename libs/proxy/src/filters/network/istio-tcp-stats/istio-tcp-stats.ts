import { formatResponseFlags } from '@meltemi/http';
import { declareIstioMetrics, istioTcpLabels, type Counter, type Family } from '@meltemi/observe';
import { NetworkStreamFilter, type ConnectionControls, type NetworkFilterContext, type NetworkFilterFactory } from '../../../filter.ts';
import { factsOfEndpoint, namedLabels, serviceOfCluster, sideLabels, tellPeers } from '../../http/istio-stats/labels.ts';
import { allDropped, istioStatsTypeUrl, parseIstioStats, type IstioMetric, type IstioStatsConfig } from '../../http/istio-stats/settings.ts';

/** Istio's standard TCP metrics: opened when the upstream is known, bytes and the close at the end. */
export const istioTcpStatsFilter: NetworkFilterFactory = {
  name: 'istio.stats',
  typeUrls: [istioStatsTypeUrl],
  trust: 'untrusted-downstream-and-upstream',
  parse: parseIstioStats,
  bind(config, ctx) {
    const shared: Shared = { ctx, ...familiesOf(config as IstioStatsConfig, ctx) };
    return { create: () => new TcpStats(shared) };
  },
};

/** What is counted; null for what is dropped. */
interface Families {
  readonly opened: Family<Counter> | null;
  readonly closed: Family<Counter> | null;
  readonly received: Family<Counter> | null;
  readonly sent: Family<Counter> | null;
  /** Any of them. */
  readonly counted: boolean;
}

interface Shared extends Families {
  readonly ctx: NetworkFilterContext;
}

const tcpMetrics: readonly IstioMetric[] = ['tcp_connections_opened_total', 'tcp_connections_closed_total', 'tcp_sent_bytes_total', 'tcp_received_bytes_total'];

function familiesOf(config: IstioStatsConfig, ctx: NetworkFilterContext): Families {
  if (allDropped(config, tcpMetrics)) return { opened: null, closed: null, received: null, sent: null, counted: false };
  const metrics = declareIstioMetrics(ctx.metrics);
  const kept = (name: IstioMetric, family: Family<Counter>) => (config.dropped.has(name) ? null : family);
  return {
    opened: kept('tcp_connections_opened_total', metrics.tcpOpened),
    closed: kept('tcp_connections_closed_total', metrics.tcpClosed),
    received: kept('tcp_received_bytes_total', metrics.tcpReceivedBytes),
    sent: kept('tcp_sent_bytes_total', metrics.tcpSentBytes),
    counted: true,
  };
}

class TcpStats extends NetworkStreamFilter {
  readonly #shared: Shared;
  #opened = false;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  override onUpstream(controls: ConnectionControls): void {
    this.#opened = true;
    this.#shared.opened?.labels(...this.#labels(controls)).inc();
  }

  override onClose(controls: ConnectionControls): void {
    const { opened, closed, received, sent, counted } = this.#shared;
    const labels = this.#labels(controls);
    if (!this.#opened) opened?.labels(...labels).inc();
    closed?.labels(...labels).inc();
    tellPeers(controls.info, namedLabels(istioTcpLabels, labels, counted));
    count(received, labels, controls.info.bytesReceived);
    count(sent, labels, controls.info.bytesSent);
  }

  #labels({ info }: ConnectionControls): string[] {
    const outbound = this.#shared.ctx.direction !== 'inbound';
    const tls = outbound ? info.upstreamTls : info.connection.tls;
    const own = sideLabels(this.#shared.ctx.node, tls?.localUriSans[0] ?? '');
    const other = sideLabels(outbound ? factsOfEndpoint(info) : null, tls?.peerUriSans[0] ?? '');
    const service = serviceOfCluster(this.#shared.ctx.clusters, info.upstreamCluster) ?? { host: 'unknown', name: 'unknown', namespace: 'unknown' };
    const policy = outbound ? 'unknown' : tls?.peerValidated === true ? 'mutual_tls' : 'none';
    return [
      outbound ? 'source' : 'destination', ...(outbound ? own : other), ...(outbound ? other : own), service.host, service.name, service.namespace, 'tcp',
      formatResponseFlags(info.responseFlags), policy,
    ];
  }
}

function count(family: Family<Counter> | null, labels: readonly string[], bytes: number): void {
  if (bytes > 0) family?.labels(...labels).inc(bytes);
}
