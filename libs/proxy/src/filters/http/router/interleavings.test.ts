import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';
import { StepBackend, type StepStream } from '../../../testing/step-backend.ts';

const plain = (...what: string[]) => fc.constantFrom(...what).map((one) => ({ what: one, at: 0, value: 0 }));

/** What may happen next; the usual more often. Streams are chosen among those there are. */
const step = fc.oneof(
  { weight: 4, arbitrary: plain('data', 'data', 'data', 'end') },
  { weight: 1, arbitrary: plain('disconnect', 'data', 'data', 'data') },
  { weight: 5, arbitrary: fc.record({ what: fc.constantFrom('ready', 'ready', 'respond-whole', 'respond', 'break', 'fail'), at: fc.nat(1), value: fc.constantFrom(200, 503, 503, 409) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constantFrom('part', 'finish', 'stale', 'refused', 'full', 'drain'), at: fc.nat(3), value: fc.constantFrom(0) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('pass'), at: fc.constant(0), value: fc.constantFrom(1, 30, 30, 600, 1200) }) },
);
type Step = { what: string; at: number; value: number };

const setup = fc.record({
  retryOn: fc.constantFrom('', '5xx', 'connect-failure,retriable-4xx', 'refused-stream,reset-before-request'),
  numRetries: fc.nat(3), perTry: fc.constantFrom('0s', '0.5s'), hedge: fc.boolean(), timeout: fc.constantFrom('0s', '1s'), method: fc.constantFrom('GET', 'PUT', 'POST'),
  limit: fc.constantFrom(8, 1000), maxRetries: fc.constantFrom(0, 3), http2: fc.boolean(),
});
type Setup = typeof setup extends fc.Arbitrary<infer T> ? T : never;

class Run {
  readonly served: Served;
  readonly backend: StepBackend;
  readonly client: ReturnType<Served['connect']>;
  readonly #noBody: boolean;
  #bodySent = 0;
  #left = 6;
  #gone = false;

  constructor({ retryOn, numRetries, perTry, hedge, timeout, method, limit, maxRetries, http2 }: Setup) {
    const retryPolicy = { retryOn, numRetries, perTryTimeout: perTry, retryBackOff: { baseInterval: '0.01s' } };
    const http = { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', explicitHttpConfig: http2 ? { http2ProtocolOptions: {} } : { httpProtocolOptions: {} } };
    const cluster = { circuitBreakers: { thresholds: [{ maxRetries }] }, typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http } };
    const router = filterJson('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router');
    this.served = new Served({
      routes: [routeToApp({ perRequestBufferLimitBytes: limit }, { timeout, hedgePolicy: { hedgeOnPerTryTimeout: hedge }, ...(retryOn !== '' && { retryPolicy }) })],
      backend: (clock) => new StepBackend('app', clock, cluster), hcm: { httpFilters: [router] },
    });
    this.backend = this.served.backend as StepBackend;
    this.client = this.served.connect();
    this.#noBody = method === 'GET';
    this.client.wire.receive(requestText('/', this.#noBody ? [] : [`content-length: ${6 * this.#left}`], method));
  }

  get over(): boolean {
    return this.served.done.length > 0;
  }

  do({ what, at, value }: Step): void {
    const { wire } = this.client;
    const open = this.backend.streams.filter(({ state }) => state !== 'over');
    const stream: StepStream | undefined = open[at % Math.max(1, open.length)];
    switch (what) {
      case 'data':
        // A client that is not read sends nothing.
        return this.#noBody || this.#left <= 1 || wire.paused || wire.closed ? undefined : this.#send();
      case 'end':
        while (!this.#noBody && this.#left > 0 && !wire.paused && !wire.closed) this.#send();
        return undefined;
      case 'disconnect':
        this.#gone = true;
        return wire.destroy();
      case 'pass':
        return this.served.pass(value);
      case 'ready':
        return stream?.ready();
      case 'fail':
        return stream?.fail(value === 429 ? 'overflow' : value === 409 ? 'timeout' : 'connect');
      case 'respond':
        return stream?.respond(value);
      case 'respond-whole':
        return stream?.respond(value, [], true);
      case 'part':
        return stream?.part('part');
      case 'finish':
        return stream?.finish();
      case 'break':
        return stream?.break();
      case 'stale':
        return stream?.answered ? undefined : stream?.break({ stale: true });
      case 'refused':
        return stream?.answered ? undefined : stream?.break({ kind: 'remote', refused: true });
      case 'full':
        if (stream !== undefined) stream.full = true;
        return undefined;
      case 'drain':
        return stream?.drain();
      default:
        return undefined;
    }
  }

  #send(): void {
    this.#left--;
    this.#bodySent += 6;
    this.client.wire.receive('abcdef');
  }

  /** Holds after every step. */
  check(): void {
    assert.deepEqual(this.served.bugs, []);
    const { wire } = this.client;
    const answers = wire.sent.match(/HTTP\/1\.1 [2-5]/g)?.length ?? 0;
    assert.ok(answers <= 1, `${answers} answers`);
    const { limits, host, stats, streams } = this.backend;
    const running = streams.filter(({ state }) => state !== 'over').length;
    assert.equal(host.state.activeRequests, running);
    assert.equal(stats.rqActive.value, running);
    assert.equal(limits.default.requests, streams.filter(({ state }) => state === 'open').length);
    assert.ok(limits.default.retries >= 0 && limits.default.retries <= 1);
    if (this.over) assert.deepEqual([running, limits.default.retries], [0, 0]);
    else this.#checkReading(streams.at(-1));
    for (const stream of streams) assert.ok('abcdef'.repeat(6).startsWith(stream.body) && stream.body.length <= this.#bodySent, stream.body);
  }

  /** Whoever takes all there is must get more: a client that is not read for nothing waits for ever. */
  #checkReading(newest: StepStream | undefined): void {
    const { wire } = this.client;
    if (newest?.state !== 'open' || this.#noBody) return;
    assert.equal(newest.body.length, this.#bodySent, 'the upstream has not got all that was read');
    if (this.#left === 0) assert.equal(newest.ended, true, 'the upstream waits for the end');
    else if (!newest.full) assert.equal(wire.paused, false, 'the client is not read, though there is room');
  }

  /** The client gives up, or all timers have run: nothing is left. */
  end(): void {
    if (!this.over && !this.#gone) this.client.wire.destroy();
    this.check();
    assert.equal(this.served.done.length, 1);
    this.served.pass(60_000);
    this.check();
  }
}

test('whatever happens in whatever order: one answer or reset, nothing left over, and no client left waiting', () => {
  fc.assert(fc.property(setup, fc.array(step, { maxLength: 30 }), (options, steps) => {
    const run = new Run(options);
    run.check();
    for (const one of steps) {
      run.do(one);
      run.check();
    }
    run.end();
  }), { numRuns: 600 });
});
