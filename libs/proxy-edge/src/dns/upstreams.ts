import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { isIP } from 'node:net';
import { isAnswerTo, isTruncated, withId } from '@meltemi/proxy';
import { askOverTcp } from './tcp-exchange.ts';

/** A name server of resolv.conf. */
export interface NameServer {
  readonly address: string;
  readonly port: number;
}

export interface UpstreamsOptions {
  /** None: every question fails. */
  readonly servers: readonly NameServer[];
  /** How long one server may take. */
  readonly timeoutMs: number;
  /** All servers are asked at once and the first answer counts; else one after the other, beginning with any. */
  readonly parallel: boolean;
  /** Questions under way at once; each takes a socket. Default 512. */
  readonly maxOutstanding?: number;
}

/** One question to a server. */
export interface Exchange {
  /** Under an id of our own. */
  readonly message: Uint8Array;
  readonly id: number;
  readonly question: Uint8Array;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Asks the name servers of the machine what is not known here. Every exchange has an id drawn by chance and a socket, so a port, of its own, connected to
 * the server: an answer from elsewhere, or to something else, is not heard.
 */
export class Upstreams {
  readonly #options: UpstreamsOptions;
  /** One for each question under way. */
  readonly #live = new Set<AbortController>();
  #stopped = false;

  constructor(options: UpstreamsOptions) {
    this.#options = options;
  }

  /** The answer to `message` under the id it came with; null when there was none. `tcp`: as it was asked. */
  async ask(message: Uint8Array, question: Uint8Array, tcp: boolean): Promise<Uint8Array | null> {
    const { servers, parallel, maxOutstanding = 512, timeoutMs } = this.#options;
    if (this.#live.size >= maxOutstanding || servers.length === 0 || this.#stopped) return null;
    const given = ((message[0] ?? 0) << 8) | (message[1] ?? 0);
    const live = new AbortController();
    this.#live.add(live);
    const one = async (server: NameServer) => {
      const id = randomInt(0x1_0000);
      const exchange = { message: withId(message, id), id, question, timeoutMs, signal: live.signal };
      return withId(await (tcp ? askOverTcp(server, exchange) : askOverUdp(server, exchange)), given);
    };
    try {
      return await (parallel ? Promise.any(servers.map(one)) : inTurn(rotated(servers), one, live.signal));
    } catch {
      return null;
    } finally {
      live.abort();
      this.#live.delete(live);
    }
  }

  /** Questions under way get no answer. */
  stop(): void {
    this.#stopped = true;
    for (const live of this.#live) live.abort();
  }
}

async function inTurn(servers: readonly NameServer[], ask: (server: NameServer) => Promise<Uint8Array>, stopped: AbortSignal): Promise<Uint8Array> {
  let failure: unknown;
  for (const server of servers) {
    try {
      stopped.throwIfAborted();
      return await ask(server);
    } catch (cause) {
      failure = cause;
    }
  }
  throw failure;
}

function rotated(servers: readonly NameServer[]): readonly NameServer[] {
  const first = randomInt(servers.length);
  return [...servers.slice(first), ...servers.slice(0, first)];
}

/** What does not fit into UDP is asked for again over TCP; where that fails the client may try itself. */
async function askOverUdp(server: NameServer, exchange: Exchange): Promise<Uint8Array> {
  const answer = await udpAnswer(server, exchange);
  return isTruncated(answer) ? askOverTcp(server, exchange).catch(() => answer) : answer;
}

function udpAnswer({ address, port }: NameServer, { message, id, question, timeoutMs, signal }: Exchange): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      socket.removeAllListeners('message');
      socket.close();
      settle();
    };
    const fail = (cause: Error) => end(() => reject(cause));
    const aborted = () => fail(new Error('stopped'));
    const timer = setTimeout(() => fail(new Error(`${address}: no answer within ${timeoutMs} ms`)), timeoutMs);
    signal.addEventListener('abort', aborted, { once: true });
    socket.once('error', fail);
    socket.on('message', (answer) => { if (isAnswerTo(answer, id, question)) end(() => resolve(answer)); });
    socket.once('connect', () => socket.send(message));
    socket.connect(port, address);
  });
}
