import { formatAddress } from '@meltemi/http';
import type { Counter, FlatStats } from '@meltemi/observe';
import { readClientHello, readHttpPreface, readProxyHeader, SilentDestinations, type ConnectionObserver, type ProxyHeader } from '@meltemi/proxy';
import type { ConnectionView, Listener, ProxyProtocolSettings } from '@meltemi/snapshot';
import { turnTime } from '../transport/turn.ts';
import type { PeekOutcome } from '../transport/accepted-socket.ts';
import type { SocketConnection } from '../transport/socket-connection.ts';
import { nothingSeen, type Arrival, type Seen } from './arrival.ts';

/**
 * Deviation: without a limit Envoy waits for the first bytes forever, and a client that waits for its server's greeting hangs. Here the wait
 * ends, and the connection goes on as one of an unknown protocol.
 */
const longestSniffMs = 5000;
/** A PROXY header comes with the first packet; without a limit of the listener's own it is waited for no longer. */
const longestHeaderMs = 15_000;

/** Whether two configs of a listener find out the same of such a connection before its chain is chosen. */
export function lookAlike(a: Listener, b: Listener): (view: ConnectionView) => boolean {
  const known = new Map<string, boolean>();
  return (view) => {
    const key = `${view.destinationPort} ${view.transportProtocol}`;
    let alike = known.get(key);
    if (alike === undefined) known.set(key, (alike = lookersAt(a, view) === lookersAt(b, view)));
    return alike;
  };
}

function lookersAt({ useOriginalDst, listenerFilters }: Listener, { destinationPort, transportProtocol }: ConnectionView): string {
  const looking = listenerFilters.filter(({ kind, disabled }) => disabled?.(destinationPort) !== true && !(kind === 'http_inspector' && transportProtocol === 'tls'));
  return JSON.stringify([useOriginalDst, looking.map(({ name: _name, disabled: _disabled, ...settings }) => settings)]);
}

export interface ListenerFilterDeps {
  readonly stats: FlatStats;
  /** downstream_pre_cx_timeout */
  readonly timeouts: Counter;
}

/** Reads the first bytes of a listener's connections: the PROXY protocol, then server name, ALPN and kind of HTTP. */
export class ListenerFilters {
  readonly #deps: ListenerFilterDeps;
  readonly #silent = new SilentDestinations();

  constructor(deps: ListenerFilterDeps) {
    this.#deps = deps;
  }

  /** Tells `done` once what was seen; a connection that is refused is destroyed. The PROXY header is read first, wherever its filter stands. */
  run(listener: Listener, arrival: Arrival, done: (arrival: Arrival, seen: Seen) => void): void {
    const filter = listener.listenerFilters.find((each) => each.kind === 'proxy_protocol' && each.disabled?.(arrival.destination.port) !== true);
    if (filter?.kind !== 'proxy_protocol') return this.#sniff(listener, arrival, done);
    const { accepted } = arrival;
    return accepted.peek(listener.listenerFiltersTimeoutMs || longestHeaderMs, (bytes) => readProxyHeader(bytes) !== 'more', (outcome) => {
      const header = this.#header(filter, accepted.peeked, outcome);
      if (header === null) return accepted.destroy();
      if (header === 'none') return this.#sniff(listener, arrival, done);
      accepted.consume(header.length);
      return this.#sniff(listener, behind(arrival, header, filter), done);
    });
  }

  /** Watches who speaks first on a connection that was not waited for: a client that does wants to be looked at again. */
  watch(arrival: Arrival, connection: SocketConnection): void {
    if (connection.observer === null) connection.observer = new FirstSpeaker(connection, () => this.#silent.spoke(formatAddress(arrival.destination.ip, arrival.destination.port)));
  }

  /** The header; 'none' = allowed without; null = refused. */
  #header(settings: ProxyProtocolSettings, bytes: Buffer, outcome: PeekOutcome): ProxyHeader | 'none' | null {
    const prefix = `proxy_proto.${settings.statPrefix === '' ? '' : `${settings.statPrefix}.`}`;
    const count = (name: string) => this.#deps.stats.counter(`${prefix}${name}`).inc();
    if (outcome === 'timeout') this.#deps.timeouts.inc();
    if (outcome === 'closed') return null;
    // What is not wanted is not looked for, where connections without a header are welcome.
    const read = readProxyHeader(bytes, settings.allowWithoutHeader ? settings.versions : undefined);
    if (read === 'none' || read === 'more') {
      // Deviation: continue_on_listener_filters_timeout does not let a connection in without the header that is asked for.
      const allowed = settings.allowWithoutHeader && outcome !== 'ended';
      count(allowed ? 'not_found_allowed' : 'not_found_disallowed');
      return allowed ? 'none' : null;
    }
    const version = `versions.v${read.version}`;
    const wanted = read.version === 1 ? settings.versions.v1 : settings.versions.v2;
    count(`${version}.${!wanted ? 'disallowed' : 'broken' in read ? 'error' : 'found'}`);
    return wanted && !('broken' in read) ? read : null;
  }

  #sniff(listener: Listener, arrival: Arrival, done: (arrival: Arrival, seen: Seen) => void): void {
    const { accepted, destination } = arrival;
    const runs = (kind: string) => listener.listenerFilters.some((filter) => filter.kind === kind && filter.disabled?.(destination.port) !== true);
    const wants = { tls: runs('tls_inspector'), http: runs('http_inspector') };
    if (!wants.tls && !wants.http) return done(arrival, nothingSeen);
    const key = formatAddress(destination.ip, destination.port);
    const skips = this.#silent.has(key, turnTime());
    const look = (patience: number | 'turn') => accepted.peek(patience, (bytes) => enough(bytes, wants), (outcome) => {
      const started = accepted.peeked.length > 0;
      if (outcome === 'closed' || (outcome === 'ended' && !started)) return accepted.destroy();
      if (outcome !== 'timeout') {
        if (skips) this.#silent.spoke(key);
        return done(arrival, seenIn(accepted.peeked, wants));
      }
      // Something came at once after all, and there is more to come.
      if (patience === 'turn' && started) return look(patienceOf(listener));
      if (patience === 'turn') return done(arrival, { ...nothingSeen, skipped: true });
      this.#deps.timeouts.inc();
      if (!listener.continueOnListenerFiltersTimeout && listener.listenerFiltersTimeoutMs > 0) return accepted.destroy();
      if (!started) this.#silent.silent(key, turnTime());
      return done(arrival, seenIn(accepted.peeked, wants));
    });
    return look(skips ? 'turn' : patienceOf(listener));
  }
}

function patienceOf(listener: Listener): number {
  return listener.listenerFiltersTimeoutMs || longestSniffMs;
}

/** The arrival as the balancer in front saw it. A destination that is this very listener is no other destination. */
function behind(arrival: Arrival, header: ProxyHeader, settings: ProxyProtocolSettings): Arrival {
  const { accepted, destination } = arrival;
  const named = header.addresses;
  const captured = named !== null && (named.destinationIp !== accepted.localIp || named.destinationPort !== accepted.localPort);
  return { accepted, destination: named === null ? destination : { ip: named.destinationIp, port: named.destinationPort, captured }, proxied: { header, settings } };
}

interface Wants {
  readonly tls: boolean;
  readonly http: boolean;
}

function enough(bytes: Buffer, wants: Wants): boolean {
  const hello = wants.tls ? readClientHello(bytes) : 'not-tls';
  return hello !== 'more' && (hello !== 'not-tls' || !wants.http || readHttpPreface(bytes) !== 'more');
}

function seenIn(bytes: Buffer, wants: Wants): Seen {
  const read = wants.tls ? readClientHello(bytes) : 'not-tls';
  if (typeof read !== 'string') return { hello: read, protocols: read.alpn, skipped: false };
  const preface = wants.http ? readHttpPreface(bytes) : 'none';
  return { hello: null, protocols: preface === 'none' || preface === 'more' ? [] : [preface], skipped: false };
}

class FirstSpeaker implements ConnectionObserver {
  readonly #connection: SocketConnection;
  readonly #clientSpoke: () => void;

  constructor(connection: SocketConnection, clientSpoke: () => void) {
    this.#connection = connection;
    this.#clientSpoke = clientSpoke;
  }

  onRead(): void {
    this.#connection.observer = null;
    this.#clientSpoke();
  }

  onWrite(): void {
    this.#connection.observer = null;
  }

  onClose(): void {}
}
