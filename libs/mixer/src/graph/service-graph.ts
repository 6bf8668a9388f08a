import type { Clock } from '@meltemi/base';
import { EdgeCounts, SlidingCounts, coveredMs } from './edge-counts.ts';
import type { EdgeInstance, ServiceName, Workload } from './edge-instance.ts';
import type { EdgeStats, GraphEdge, GraphNode, GraphView } from './view.ts';

export interface ServiceGraphOptions {
  readonly clock: Clock;
  /** Default 2000. An edge with traffic takes up to 25 kB. */
  readonly maxEdges?: number;
  /** Edges without an event for so long are forgotten; default 15 minutes. */
  readonly idleMs?: number;
}

interface Node {
  readonly id: string;
  readonly kind: GraphNode['kind'];
  workload: Workload;
  readonly services: Set<string>;
}

interface Edge {
  readonly key: string;
  readonly source: Node;
  readonly destination: Node;
  readonly service: ServiceName;
  readonly protocol: string;
  readonly firstMs: number;
  lastMs: number;
  reportedBy: 'source' | 'destination';
  readonly total: EdgeCounts;
  readonly recent: SlidingCounts;
}

const slotMs = 5000;
const slots = 61;
/** The largest window that can be asked for. */
export const maxWindowMs = slotMs * (slots - 1);
const maxServicesPerNode = 20;

/**
 * Who calls whom. Both sidecars report each request: the source's report is counted, because only it sees requests that never arrived. The
 * destination's is counted when the source is unknown (no sidecar); otherwise it only adds what the source cannot know, whether mTLS was used.
 */
export class ServiceGraph {
  readonly #clock: Clock;
  readonly #maxEdges: number;
  readonly #idleMs: number;
  readonly #edges = new Map<string, Edge>();
  /** First edge between two nodes: where a destination's word about mTLS goes when it knows the service by another name. */
  readonly #pairs = new Map<string, Edge>();
  readonly #nodes = new Map<string, Node>();
  /** Workloads that report as a source, by principal: a destination that only saw the certificate means one of these. */
  readonly #reporting = new Map<string, Workload>();
  readonly #startedMs: number;
  #sweptMs: number;
  #dropped = 0;

  constructor(options: ServiceGraphOptions) {
    this.#clock = options.clock;
    this.#maxEdges = options.maxEdges ?? 2000;
    this.#idleMs = options.idleMs ?? 15 * 60_000;
    this.#startedMs = this.#sweptMs = this.#clock.now();
  }

  record(report: EdgeInstance): void {
    const now = this.#clock.now();
    this.#sweep(now);
    const instance = this.#recogniseSource(report);
    const edge = this.#edge(instance, now);
    if (!edge) return;
    const slot = edge.recent.at(now);
    if (counted(instance)) {
      edge.lastMs = now;
      edge.reportedBy = instance.reporter;
      edge.total.count(instance);
      slot.count(instance);
    }
    if (instance.mtls === undefined || instance.event === 'continue' || instance.event === 'open') return;
    edge.total.countSecurity(instance.mtls);
    slot.countSecurity(instance.mtls);
  }

  /** `namespace` keeps the edges that start or end there or call one of its services. `windowMs` is capped at maxWindowMs. */
  read(options: { windowMs?: number; namespace?: string } = {}): GraphView {
    const now = this.#clock.now();
    this.#sweep(now);
    const windowMs = Math.min(options.windowMs ?? 60_000, maxWindowMs);
    const { namespace } = options;
    const edges = [...this.#edges.values()]
      .filter((edge) => edge.total.requests + edge.total.connectionsOpened > 0)
      .filter((edge) => namespace === undefined || [edge.source.workload.namespace, edge.destination.workload.namespace, edge.service.namespace].includes(namespace))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    const nodes = new Set(edges.flatMap(({ source, destination }) => [source, destination]));
    return {
      generatedAt: new Date(now).toISOString(),
      windowSeconds: windowMs / 1000,
      nodes: [...nodes].sort((a, b) => (a.id < b.id ? -1 : 1)).map(viewNode),
      edges: edges.map((edge) => this.#viewEdge(edge, now, windowMs)),
      droppedEvents: this.#dropped,
    };
  }

  get edgeCount(): number {
    return this.#edges.size;
  }

  get droppedEvents(): number {
    return this.#dropped;
  }

  /** Without this, a caller with a sidecar would be counted twice wherever the destination could not learn its workload. */
  #recogniseSource(instance: EdgeInstance): EdgeInstance {
    const { source } = instance;
    if (source.principal === 'unknown') return instance;
    if (instance.reporter === 'source') {
      if (source.name !== 'unknown') this.#learn(source);
      return instance;
    }
    const reporting = source.name === 'unknown' ? this.#reporting.get(source.principal) : undefined;
    return reporting ? { ...instance, source: reporting } : instance;
  }

  #learn(source: Workload): void {
    const known = this.#reporting.has(source.principal);
    if (!known && this.#reporting.size >= this.#maxEdges) return;
    this.#reporting.set(source.principal, source);
    if (!known) this.#replaceUnknown(source);
  }

  /** A destination's report may come before its source's first one: what it counted for the certificate alone is reported by the source too. */
  #replaceUnknown(source: Workload): void {
    const id = `unknown/${source.principal}`;
    const now = this.#clock.now();
    for (const [key, edge] of this.#edges) {
      if (edge.source.id !== id) continue;
      this.#forget(key, edge);
      const { service, protocol, destination, total } = edge;
      const own = this.#edge({ reporter: 'source', source, destination: destination.workload, service, protocol }, now);
      for (const counts of own ? [own.total, own.recent.at(now)] : []) {
        counts.mtlsYes += total.mtlsYes;
        counts.mtlsNo += total.mtlsNo;
      }
    }
  }

  #edge(instance: Ends, now: number): Edge | undefined {
    const sourceId = nodeId(instance.source, undefined);
    const destinationId = nodeId(instance.destination, instance.service);
    const key = `${sourceId} ${destinationId} ${instance.service.host} ${instance.protocol}`;
    const known = this.#edges.get(key) ?? (counted(instance) ? undefined : this.#pairs.get(pairOf(sourceId, destinationId)));
    if (known) {
      completeNode(known.source, instance.source);
      completeNode(known.destination, instance.destination);
      return known;
    }
    if (this.#edges.size >= this.#maxEdges) {
      this.#dropped++;
      return undefined;
    }
    const edge: Edge = {
      key,
      source: this.#node(sourceId, instance.source),
      destination: this.#node(destinationId, instance.destination, instance.service),
      service: instance.service,
      protocol: instance.protocol,
      firstMs: now,
      lastMs: now,
      reportedBy: instance.reporter,
      total: new EdgeCounts(),
      recent: new SlidingCounts(slotMs, slots),
    };
    this.#edges.set(key, edge);
    const pair = pairOf(sourceId, destinationId);
    if (!this.#pairs.has(pair)) this.#pairs.set(pair, edge);
    return edge;
  }

  #node(id: string, workload: Workload, service?: ServiceName): Node {
    let node = this.#nodes.get(id);
    if (!node) {
      const kind = id.startsWith('workload/') ? 'workload' : id.startsWith('service/') ? 'service' : 'unknown';
      node = { id, kind, workload: kind === 'service' && service ? { ...workload, name: service.name, namespace: service.namespace } : workload, services: new Set() };
      this.#nodes.set(id, node);
    }
    if (service && service.host !== 'unknown' && node.services.size < maxServicesPerNode) node.services.add(service.host);
    return node;
  }

  /** At most twice a minute: forgets idle edges, and nodes no edge needs. */
  #sweep(now: number): void {
    if (now - this.#sweptMs < 30_000) return;
    this.#sweptMs = now;
    for (const [key, edge] of this.#edges) if (now - edge.lastMs > this.#idleMs) this.#forget(key, edge);
    const needed = new Set([...this.#edges.values()].flatMap(({ source, destination }) => [source.id, destination.id]));
    for (const id of this.#nodes.keys()) if (!needed.has(id)) this.#nodes.delete(id);
    for (const [principal, workload] of this.#reporting) if (!needed.has(nodeId(workload, undefined))) this.#reporting.delete(principal);
  }

  #forget(key: string, edge: Edge): void {
    this.#edges.delete(key);
    const pair = pairOf(edge.source.id, edge.destination.id);
    if (this.#pairs.get(pair) === edge) this.#pairs.delete(pair);
  }

  #viewEdge(edge: Edge, now: number, windowMs: number): GraphEdge {
    const covered = Math.min(coveredMs(now, windowMs, slotMs), now - this.#startedMs);
    return {
      source: edge.source.id,
      destination: edge.destination.id,
      service: edge.service,
      protocol: edge.protocol,
      reportedBy: edge.reportedBy,
      window: viewCounts(edge.recent.sum(now, windowMs), covered),
      total: viewCounts(edge.total, now - edge.firstMs),
      firstSeen: new Date(edge.firstMs).toISOString(),
      lastSeen: new Date(edge.lastMs).toISOString(),
    };
  }
}

/** What makes an edge of an event. */
type Ends = Pick<EdgeInstance, 'reporter' | 'source' | 'destination' | 'service' | 'protocol'>;

/** The source's reports count; the destination's only where there is no source to report. */
function counted(instance: Pick<EdgeInstance, 'reporter' | 'source'>): boolean {
  return instance.reporter === 'source' || instance.source.name === 'unknown';
}

function pairOf(sourceId: string, destinationId: string): string {
  return `${sourceId} ${destinationId}`;
}

const workloadFields = ['app', 'version', 'canonicalService', 'principal'] as const;

/** A workload is first heard of by its peers, who may know less of it than it does itself. */
function completeNode(node: Node, heard: Workload): void {
  if (node.kind !== 'workload') return;
  for (const field of workloadFields) if (node.workload[field] === 'unknown' && heard[field] !== 'unknown') node.workload = { ...node.workload, [field]: heard[field] };
}

/** A workload if anybody named it, else the service that was called, else the principal, else nobody. */
function nodeId(workload: Workload, service: ServiceName | undefined): string {
  if (workload.name !== 'unknown') return `workload/${workload.cluster}/${workload.namespace}/${workload.name}`;
  if (service && service.host !== 'unknown') return `service/${service.host}`;
  return workload.principal === 'unknown' ? 'unknown' : `unknown/${workload.principal}`;
}

function viewNode({ id, kind, workload, services }: Node): GraphNode {
  return { id, kind, ...workload, services: [...services].sort() };
}

function viewCounts(counts: EdgeCounts, spanMs: number): EdgeStats {
  const seconds = Math.max(1, spanMs / 1000);
  const ends = counts.requests + counts.connectionsClosed;
  const { latency } = counts;
  const security = counts.mtlsYes + counts.mtlsNo;
  return {
    requests: counts.requests,
    requestsPerSecond: rounded(counts.requests / seconds),
    errors: counts.errors,
    errorsPerSecond: rounded(counts.errors / seconds),
    errorShare: ends === 0 ? 0 : rounded(counts.errors / ends),
    clientErrors: counts.clientErrors,
    latencyMs: latency === null ? null : { p50: latency.quantile(0.5) ?? 0, p90: latency.quantile(0.9) ?? 0, p99: latency.quantile(0.99) ?? 0 },
    requestBytes: counts.requestBytes,
    responseBytes: counts.responseBytes,
    connectionsOpened: counts.connectionsOpened,
    connectionsClosed: counts.connectionsClosed,
    mtlsShare: security === 0 ? null : rounded(counts.mtlsYes / security),
    responseFlags: Object.fromEntries([...counts.flags].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function rounded(value: number): number {
  return Number(value.toFixed(4));
}
