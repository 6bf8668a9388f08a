import { connect } from 'node:net';
import { isAnswerTo, maxMessageBytes } from '@meltemi/proxy';
import type { Exchange, NameServer } from './upstreams.ts';

/** A message with its length in front, as it goes over TCP. */
export function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(2 + message.length);
  bytes.writeUInt16BE(message.length);
  bytes.set(message, 2);
  return bytes;
}

/** Takes messages out of a stream of bytes; holds at most one that is not complete. */
export class Unframer {
  #held: Buffer = Buffer.alloc(0);

  add(bytes: Buffer): void {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
  }

  /** The next whole message; undefined while it has not all come. */
  next(): Buffer | undefined {
    if (this.#held.length < 2) return undefined;
    const end = 2 + this.#held.readUInt16BE();
    if (this.#held.length < end) return undefined;
    const message = this.#held.subarray(2, end);
    this.#held = this.#held.subarray(end);
    return message;
  }

  /** A reader that waits for this to be worked off should not read on. */
  get full(): boolean {
    return this.#held.length > maxMessageBytes;
  }
}

/** One question over a connection of its own. */
export function askOverTcp({ address, port }: NameServer, { message, id, question, timeoutMs, signal }: Exchange): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const unframer = new Unframer();
    const socket = connect({ host: address, port, noDelay: true });
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      socket.removeAllListeners('data');
      socket.destroy();
      settle();
    };
    const fail = (cause: Error) => end(() => reject(cause));
    const aborted = () => fail(new Error('stopped'));
    const timer = setTimeout(() => fail(new Error(`${address}: no answer over TCP within ${timeoutMs} ms`)), timeoutMs);
    signal.addEventListener('abort', aborted, { once: true });
    socket.on('error', fail);
    socket.once('close', () => fail(new Error(`${address} closed the connection`)));
    socket.on('data', (bytes: Buffer) => {
      unframer.add(bytes);
      const answer = unframer.next();
      if (answer === undefined) return;
      if (isAnswerTo(answer, id, question)) end(() => resolve(Uint8Array.from(answer)));
      else fail(new Error(`${address} answered something else`));
    });
    socket.write(framed(message));
  });
}
