import type { DistributionResponse, ProxyStatusResponse } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { FollowLook, FollowRequest } from '@meltemi/api/gen/meltemi/config/v1/peers.ts';
import { ManualClock } from '@meltemi/base';
import type { LeasedEvent, LeasedValues } from '@meltemi/config';
import type { FollowHandlers, PeerApi } from '../peers/peer-api.ts';
import { PilotDirectory } from '../peers/pilot-directory.ts';

/** Another pilot that says what the test lets it say. */
export class FakePeer implements PeerApi {
  /** Every follow call there was; the last is the one that counts. */
  readonly follows: (FollowHandlers & { readonly request: FollowRequest; stopped: boolean })[] = [];
  closed = false;

  follow(request: FollowRequest, handlers: FollowHandlers): { stop(): void } {
    const call = { request, ...handlers, stopped: false };
    this.follows.push(call);
    return { stop: () => { call.stopped = true; } };
  }

  look(change: Partial<FollowLook>): void {
    this.follows.at(-1)?.onLook({ affected: 0, following: 0, laggards: [], objects: [], judging: false, started: false, refused: true, ...change });
  }

  end(failure: string | undefined): void {
    this.follows.at(-1)?.onEnd(failure);
  }

  proxyStatus(): Promise<ProxyStatusResponse> {
    return Promise.reject(new Error('not asked for'));
  }

  distribution(): Promise<DistributionResponse> {
    return Promise.reject(new Error('not asked for'));
  }

  close(): void {
    this.closed = true;
  }
}

/** Leased values as the test tells of them. */
class FakeValues implements LeasedValues {
  readonly held = new Map<string, string>();
  readonly #untold: LeasedEvent[] = [];
  #wake: () => void = () => undefined;

  hold(name: string, value: string): void {
    this.held.set(name, value);
  }

  release(name: string): void {
    this.held.delete(name);
  }

  tell(event: LeasedEvent): void {
    this.#untold.push(event);
    this.#wake();
  }

  async *watch(signal: AbortSignal): AsyncGenerator<LeasedEvent> {
    while (!signal.aborted) {
      const event = this.#untold.shift();
      if (event) yield event;
      else await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A directory, what is in the store, and the pilots that were dialed, in order. */
export function fakeDirectory(graceMs = 5000) {
  const values = new FakeValues();
  const clock = new ManualClock();
  const dialed: { readonly address: string; readonly peer: FakePeer }[] = [];
  const dial = (address: string): PeerApi => {
    const peer = new FakePeer();
    dialed.push({ address, peer });
    return peer;
  };
  const directory = new PilotDirectory({ values, clock, log: { info() {}, error() {} }, id: 'own', dial, graceMs });
  directory.start();
  const tell = async (event: LeasedEvent): Promise<void> => {
    values.tell(event);
    // The directory has taken it when all promises on the way are through.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    directory, values, clock, dialed,
    came: (id: string, record: object) => tell({ type: 'put', name: id, value: JSON.stringify({ pilot: id, address: `${id}:1`, version: '1', ...record }) }),
    left: (id: string) => tell({ type: 'delete', name: id }),
    tell,
  };
}
