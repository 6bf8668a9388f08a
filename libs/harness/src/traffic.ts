import { Agent, request as httpRequest } from 'node:http';

/** Requests that flow at a steady rate while something else happens. */
export interface TrafficSpec {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 50. */
  readonly perSecond?: number;
  /** What counts as a success; default: status 200. */
  readonly accept?: (answer: TrafficAnswer) => boolean;
  /** Default 15,000. */
  readonly timeoutMs?: number;
}

export interface TrafficAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface TrafficReport {
  readonly sent: number;
  readonly succeeded: number;
  /** The first failures, each with what came instead. */
  readonly failures: readonly string[];
}

const maxFailures = 20;

/** Steady traffic over keep-alive connections. Start it, do things, stop it, look at the report. */
export class Traffic {
  readonly #spec: TrafficSpec;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #open = new Set<Promise<void>>();
  readonly #failures: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;
  #succeeded = 0;
  #failed = 0;

  constructor(spec: TrafficSpec) {
    this.#spec = spec;
  }

  start(): this {
    const perSecond = this.#spec.perSecond ?? 50;
    const started = performance.now();
    // Catches up after a stall, so that the rate holds on a busy machine.
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - started) / 1000) * perSecond);
      for (let burst = 0; this.#sent < due && burst < 10; burst++) this.#send();
    }, Math.max(5, 1000 / perSecond / 2));
    return this;
  }

  /** Stops sending and waits for what is open. */
  async stop(): Promise<TrafficReport> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    this.#agent.destroy();
    return this.report();
  }

  report(): TrafficReport {
    return { sent: this.#sent, succeeded: this.#succeeded, failures: this.#failed > maxFailures ? [...this.#failures, `… and ${this.#failed - maxFailures} more`] : [...this.#failures] };
  }

  #send(): void {
    this.#sent += 1;
    const at = new Date().toISOString();
    const done = get(this.#spec.url, { agent: this.#agent, headers: this.#spec.headers ?? {}, timeoutMs: this.#spec.timeoutMs ?? 15_000 })
      .then((answer) => {
        if (this.#spec.accept ? this.#spec.accept(answer) : answer.status === 200) this.#succeeded += 1;
        else this.#fail(`${at} status ${answer.status}: ${answer.body.slice(0, 200)}`);
      }, (cause: unknown) => this.#fail(`${at} ${cause instanceof Error ? cause.message : String(cause)}`))
      .finally(() => this.#open.delete(done));
    this.#open.add(done);
  }

  #fail(text: string): void {
    this.#failed += 1;
    if (this.#failures.length < maxFailures) this.#failures.push(text);
  }
}

export interface GetOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
  readonly method?: string;
  readonly body?: string;
  readonly timeoutMs?: number;
}

/** One request with its whole answer; redirects are not followed. */
export function get(url: string, options: GetOptions = {}): Promise<TrafficAnswer> {
  return new Promise((resolve, reject) => {
    const timeoutMs = options.timeoutMs ?? 15_000;
    const call = httpRequest(url, { method: options.method ?? 'GET', headers: { ...options.headers }, signal: AbortSignal.timeout(timeoutMs), ...(options.agent ? { agent: options.agent } : {}) }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8'), headers: response.headers }));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(options.body);
  });
}
