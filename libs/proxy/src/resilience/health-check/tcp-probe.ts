import type { TcpCheck } from '@meltemi/snapshot';
import type { ByteConnection } from '../../connection.ts';
import { payloadsMatch } from './payload-match.ts';
import { networkFailure, type CheckResult, type CheckTransport, type Probe } from './probe.ts';

/** What a host may say before the expected bytes come. */
const maxAnswerBytes = 64 * 1024;

/** Connects, sends what it is to send, and waits for what it is to receive; with nothing to receive, connecting is enough. */
export class TcpProbe implements Probe {
  readonly #check: TcpCheck;
  readonly #transport: CheckTransport;
  readonly #reuse: boolean;
  #connection: ByteConnection | null = null;
  #giveUp: (() => void) | null = null;
  #done: ((result: CheckResult) => void) | null = null;
  #received: Buffer[] = [];

  constructor(check: TcpCheck, transport: CheckTransport, reuse: boolean) {
    this.#check = check;
    this.#transport = transport;
    this.#reuse = reuse;
  }

  start(done: (result: CheckResult) => void): void {
    this.#done = done;
    this.#received = [];
    if (this.#connection !== null) return this.#send(this.#connection);
    this.#giveUp = this.#transport.connect({ onOpen: (connection) => this.#opened(connection), onFailure: (reason) => this.#finish(networkFailure(reason)) });
    if (this.#done === null) this.#giveUp = null;
    return undefined;
  }

  close(): void {
    this.#done = null;
    this.#giveUp?.();
    this.#giveUp = null;
    this.#drop();
  }

  #opened(connection: ByteConnection): void {
    this.#giveUp = null;
    this.#connection = connection;
    connection.sink = {
      onData: (buffer, length) => this.#data(buffer.subarray(0, length)),
      onEnd: () => this.#lost(),
      onDrain: () => {},
      onClose: () => this.#lost(),
    };
    connection.resume();
    this.#send(connection);
  }

  #send(connection: ByteConnection): void {
    const { send, receive } = this.#check;
    if (send !== null) connection.write(send, 0, send.length);
    connection.flush();
    if (receive.length > 0) return;
    this.#drop();
    this.#finish({ kind: 'passed', degraded: false });
  }

  #data(bytes: Buffer): void {
    if (this.#done === null) return;
    this.#received.push(Buffer.from(bytes));
    const all = Buffer.concat(this.#received);
    if (payloadsMatch(this.#check.receive, all)) {
      if (!this.#reuse) this.#drop();
      this.#finish({ kind: 'passed', degraded: false });
    } else if (all.length > maxAnswerBytes) {
      this.#drop();
      this.#finish({ kind: 'failed', counted: false, network: false, excluded: false, reason: 'answered at length, without what was expected' });
    } else this.#received = [all];
  }

  #lost(): void {
    if (this.#connection === null) return;
    this.#drop();
    this.#finish(networkFailure('closed the connection'));
  }

  #drop(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
  }

  #finish(result: CheckResult): void {
    const done = this.#done;
    this.#done = null;
    this.#giveUp = null;
    done?.(result);
  }
}
