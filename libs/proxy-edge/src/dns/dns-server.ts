import { NameTable } from '@meltemi/api/gen/istio/networking/nds/v1/nds.ts';
import type { Clock } from '@meltemi/base';
import { answerOf, classIn, cutTo, failureOf, HostNames, maxMessageBytes, parseQuery, refusalOf, responseCode, type DnsQuery, type HostNamesOptions } from '@meltemi/proxy';
import { listenTcp, listenUdp, type DnsListener } from './listeners.ts';
import type { DnsStats } from './stats.ts';
import type { Upstreams } from './upstreams.ts';

export interface DnsServerOptions {
  /** Whose names are asked. */
  readonly names: HostNamesOptions;
  readonly upstreams: Upstreams;
  /** Names are asked of others already before there is a table; else that fails. As Istio on port 53. */
  readonly forwardBeforeTable: boolean;
  readonly stats: DnsStats;
  readonly clock: Clock;
  /** Called with the first table. */
  readonly onReady?: () => void;
}

/** Where to listen. An optional address may be missing on this machine. */
export interface DnsAddress {
  readonly address: string;
  readonly optional: boolean;
}

const noSuchAddress = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** The DNS server beside a workload: answers for hosts of the mesh, asks the machine's own servers about all others. One per process. */
export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #listeners: DnsListener[] = [];
  #names: HostNames | null = null;
  #table: NameTable = { table: {} };

  constructor(options: DnsServerOptions) {
    this.#options = options;
  }

  /** Binds UDP and TCP; resolves with the port, the same for all. */
  async listen(addresses: readonly DnsAddress[], port: number): Promise<number> {
    let bound = port;
    for (const { address, optional } of addresses) {
      try {
        const tcp = await this.#bind(listenTcp, address, bound);
        bound = (await this.#bind(listenUdp, address, tcp.port)).port;
      } catch (cause) {
        if (optional && noSuchAddress.has((cause as NodeJS.ErrnoException).code ?? '')) continue;
        await this.stop();
        throw cause;
      }
    }
    return bound;
  }

  /** Takes a name table in its wire form; throws for bytes that are none, and then the last one stays. */
  take(bytes: Uint8Array): void {
    const table = NameTable.decode(bytes);
    this.#names = new HostNames(table.table, this.#options.names);
    this.#table = table;
    this.#options.onReady?.();
  }

  /** The table in force, as it came. */
  get table(): NameTable {
    return this.#table;
  }

  async stop(): Promise<void> {
    this.#options.upstreams.stop();
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  async #bind(listen: typeof listenTcp, address: string, port: number): Promise<DnsListener> {
    const listener = await listen({ address, port, answer: (message, via) => this.#answer(message, via) });
    this.#listeners.push(listener);
    return listener;
  }

  #answer(message: Uint8Array, via: 'udp' | 'tcp'): Uint8Array | null | Promise<Uint8Array | null> {
    const parsed = parseQuery(message);
    if (parsed.kind === 'ignored') return null;
    if (parsed.kind === 'refused') return refusalOf(message, parsed.code);
    const { query } = parsed;
    this.#options.stats.requests.inc();
    const limit = via === 'tcp' ? maxMessageBytes : query.udpBytes;
    if (!this.#names && !this.#options.forwardBeforeTable) return failureOf(query, responseCode.serverFailure);
    const records = this.#names && query.class === classIn ? this.#names.lookup(query.name, query.type) : null;
    return records ? answerOf(query, records, limit) : this.#forward(message, query, { limit, via });
  }

  async #forward(message: Uint8Array, query: DnsQuery, { limit, via }: { readonly limit: number; readonly via: 'udp' | 'tcp' }): Promise<Uint8Array> {
    const { stats, clock, upstreams } = this.#options;
    const started = clock.monotonic();
    stats.upstreamRequests.inc();
    const answer = await upstreams.ask(message, query.question, via === 'tcp');
    stats.upstreamSeconds.observe((clock.monotonic() - started) / 1000);
    if (answer === null) stats.upstreamFailures.inc();
    return (answer && cutTo(answer, limit)) ?? failureOf(query, responseCode.serverFailure);
  }
}
