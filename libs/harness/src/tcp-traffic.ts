import { connect } from 'node:net';

/** One line over a new TCP connection, and the line that comes back. Rejects when the connection ends without one. */
export function sayLine(host: string, port: number, line: string, timeoutMs = 15_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: timeoutMs }, () => socket.write(`${line}\n`));
    let text = '';
    const end = (outcome: string | Error): void => {
      socket.destroy();
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      text += part;
      const at = text.indexOf('\n');
      if (at >= 0) end(text.slice(0, at));
    });
    socket.on('timeout', () => end(new Error(`no answer within ${timeoutMs} ms`)));
    socket.on('error', end);
    socket.on('close', () => end(new Error('the connection ended without an answer')));
  });
}

/** Lines at a steady rate, each over a new connection (open loop), and over one connection that stays open. */
export class LineTraffic {
  readonly #host: string;
  readonly #port: number;
  readonly #open = new Set<Promise<void>>();
  readonly #failures: string[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #lasting;
  #sent = 0;
  #lastingSent = 0;
  #lastingAnswered = 0;

  constructor(host: string, port: number, perSecond: number) {
    [this.#host, this.#port] = [host, port];
    this.#lasting = connect({ host, port });
    this.#lasting.setEncoding('utf8');
    this.#lasting.on('data', (part: string) => (this.#lastingAnswered += part.split('\n').length - 1));
    this.#lasting.on('error', (cause) => this.#fail(`lasting connection: ${cause.message}`));
    this.#lasting.on('close', () => this.#fail('the lasting connection ended'));
    const started = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - started) / 1000) * perSecond);
      for (let burst = 0; this.#sent < due && burst < 10; burst++) this.#send();
    }, 1000 / perSecond / 2);
  }

  get report(): { readonly sent: number; readonly lasting: number; readonly failures: readonly string[] } {
    return { sent: this.#sent, lasting: this.#lastingAnswered, failures: this.#failures };
  }

  /** Stops sending, waits for what is open, then ends the connection that lasted. */
  async stop(): Promise<LineTraffic['report']> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    this.#lasting.removeAllListeners('close');
    this.#lasting.destroy();
    return this.report;
  }

  #send(): void {
    this.#sent += 1;
    this.#lasting.write(`lasting ${this.#lastingSent++}\n`);
    const at = new Date().toISOString();
    const done: Promise<void> = sayLine(this.#host, this.#port, 'new').then(() => undefined, (cause: unknown) => this.#fail(`${at} new connection: ${cause instanceof Error ? cause.message : String(cause)}`)).finally(() => this.#open.delete(done));
    this.#open.add(done);
  }

  #fail(text: string): void {
    if (this.#failures.length < 20) this.#failures.push(text);
  }
}
