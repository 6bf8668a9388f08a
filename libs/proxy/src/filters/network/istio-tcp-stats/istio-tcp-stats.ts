import { formatResponseFlags } from '@meltemi/http';
import { declareIstioMetrics, istioTcpLabels, type Counter, type Family } from '@meltemi/observe';
import { NetworkStreamFilter, type ConnectionControls, type NetworkFilterContext, type NetworkFilterFactory } from '../../../filter.ts';
import { customMetrics, type CustomMetrics } from '../../http/istio-stats/custom-metrics.ts';
import { factsOfEndpoint, namedLabels, serviceOfCluster, sideLabels, tellPeers } from '../../http/istio-stats/labels.ts';
import { allDropped, istioStatsTypeUrl, parseIstioStats, type IstioMetric, type IstioStatsConfig } from '../../http/istio-stats/settings.ts';
import { tagPlan, tagValues, type TagPlan } from '../../http/istio-stats/tags.ts';

/** Istio's standard TCP metrics: opened when the upstream is known, bytes and the close at the end. */
export const istioTcpStatsFilter: NetworkFilterFactory = {
  name: 'istio.stats',
  typeUrls: [istioStatsTypeUrl],
  trust: 'untrusted-downstream-and-upstream',
  parse: parseIstioStats,
  bind(config, ctx) {
    const settings = config as IstioStatsConfig;
    const { reportingMs } = settings;
    const shared: Shared = { ctx, ...familiesOf(settings, ctx), custom: customMetrics(settings.custom, ctx.metrics) };
    return { create: () => (shared.counted && reportingMs > 0 ? new PeriodicTcpStats(shared, reportingMs) : new TcpStats(shared)) };
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
  /** How the labels of a family with overrides are made. */
  readonly plans: ReadonlyMap<Family<Counter>, TagPlan>;
  readonly custom: CustomMetrics | null;
}

const tcpMetrics: readonly IstioMetric[] = ['tcp_connections_opened_total', 'tcp_connections_closed_total', 'tcp_sent_bytes_total', 'tcp_received_bytes_total'];

function familiesOf(config: IstioStatsConfig, ctx: NetworkFilterContext): Families & Pick<Shared, 'plans'> {
  const plans = new Map<Family<Counter>, TagPlan>();
  if (allDropped(config, tcpMetrics)) return { opened: null, closed: null, received: null, sent: null, counted: false, plans };
  const metrics = declareIstioMetrics(ctx.metrics);
  const kept = (name: IstioMetric, standard: Family<Counter>): Family<Counter> | null => {
    if (config.dropped.has(name)) return null;
    const overrides = config.tags.get(name);
    if (overrides === undefined) return standard;
    const plan = tagPlan(istioTcpLabels, overrides);
    const family = ctx.metrics.variant(standard, plan.names);
    plans.set(family, plan);
    return family;
  };
  return {
    plans,
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
  /** Bytes counted before the end. */
  protected reportedReceived = 0;
  protected reportedSent = 0;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  override onUpstream(controls: ConnectionControls): void {
    this.#opened = true;
    this.add(this.#shared.opened, controls, this.labels(controls), 1);
  }

  override onClose(controls: ConnectionControls): void {
    const { opened, closed, received, sent, counted, custom } = this.#shared;
    const labels = this.labels(controls);
    if (!this.#opened) this.add(opened, controls, labels, 1);
    this.add(closed, controls, labels, 1);
    tellPeers(controls.info, namedLabels(istioTcpLabels, labels, counted));
    this.add(received, controls, labels, controls.info.bytesReceived - this.reportedReceived);
    this.add(sent, controls, labels, controls.info.bytesSent - this.reportedSent);
    custom?.record(controls.info);
  }

  protected add(family: Family<Counter> | null, { info }: ConnectionControls, standard: readonly string[], amount: number): void {
    if (family === null || amount <= 0) return;
    const plan = this.#shared.plans.get(family);
    family.labels(...(plan === undefined ? standard : tagValues(plan, standard, info))).inc(amount);
  }

  protected labels({ info }: ConnectionControls): string[] {
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

/** Counts bytes while the connection is open, too: once in each interval in which some went through. */
class PeriodicTcpStats extends TcpStats {
  readonly #of: Shared;
  readonly #intervalMs: number;
  #received = 0;
  #sent = 0;
  #stop: (() => void) | null = null;

  constructor(shared: Shared, intervalMs: number) {
    super(shared);
    this.#of = shared;
    this.#intervalMs = intervalMs;
  }

  override onRead(controls: ConnectionControls, bytes: number): void {
    this.#received += bytes;
    this.#soon(controls);
  }

  override onWrite(controls: ConnectionControls, bytes: number): void {
    this.#sent += bytes;
    this.#soon(controls);
  }

  override onClose(controls: ConnectionControls): void {
    this.#stop?.();
    this.#stop = null;
    super.onClose(controls);
  }

  #soon(controls: ConnectionControls): void {
    this.#stop ??= this.#of.ctx.clock.after(this.#intervalMs, () => {
      this.#stop = null;
      const labels = this.labels(controls);
      this.add(this.#of.received, controls, labels, this.#received - this.reportedReceived);
      this.add(this.#of.sent, controls, labels, this.#sent - this.reportedSent);
      this.reportedReceived = this.#received;
      this.reportedSent = this.#sent;
    });
  }
}
