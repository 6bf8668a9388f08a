import { ProxyLag_State, type ProxyLag } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { FollowLook, FollowRequest } from '@meltemi/api/gen/meltemi/config/v1/peers.ts';
import type { Clock } from '@meltemi/base';
import type { OtherPilot, PilotDirectory } from './pilot-directory.ts';

export interface PeerFollowOptions {
  readonly directory: Pick<PilotDirectory, 'others' | 'goneUntil' | 'onChange'>;
  readonly request: Omit<FollowRequest, 'newcomers'>;
  readonly clock: Clock;
  /** Something is new here. */
  readonly onChange: () => void;
}

/** One pilot and what it said last. */
interface Followed {
  readonly pilot: OtherPilot;
  look: FollowLook | undefined;
  /** Why it says nothing. */
  problem: string | undefined;
  stop: () => void;
}

const againMs = 500;

/**
 * What the other pilots say of their proxies, for one wait. While one of them is away, or was lately, its proxies may come to any other: from then on
 * newcomers count everywhere, and the wait is not over.
 */
export class PeerFollow {
  readonly #options: PeerFollowOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #stopListening: () => void;
  #newcomers: boolean;
  #cancelTimer: () => void = () => undefined;
  #stopped = false;

  constructor(options: PeerFollowOptions) {
    this.#options = options;
    this.#newcomers = options.directory.goneUntil() !== undefined;
    this.#stopListening = options.directory.onChange(() => this.#look());
    this.#look();
  }

  /** Whether proxies that connect now may have been those of a pilot that is away. */
  get newcomers(): boolean {
    return this.#newcomers;
  }

  /** True while some pilot has said nothing yet, but may. */
  get pending(): boolean {
    return [...this.#followed.values()].some(({ look, problem }) => !look && problem === undefined);
  }

  /** The last word of each pilot that answers. */
  looks(): readonly { readonly pilot: string; readonly look: FollowLook }[] {
    return [...this.#followed.values()].flatMap(({ pilot, look }) => (look ? [{ pilot: pilot.pilot, look }] : []));
  }

  /** Pilots whose proxies can never be known from here: waiting for them is of no use. */
  mute(): ProxyLag[] {
    return [...this.#followed.values()].flatMap(({ pilot: { pilot, api } }): ProxyLag[] => (typeof api === 'string' ? [{ proxyId: `pilot ${pilot}`, state: ProxyLag_State.LAGGING, detail: `cannot be asked, so that nothing is known of its proxies: ${api}` }] : []));
  }

  /** Pilots whose proxies are not known yet. */
  lags(): ProxyLag[] {
    const lags = [...this.#followed.values()].flatMap(({ pilot, look, problem }): ProxyLag[] => {
      if (look || typeof pilot.api === 'string') return [];
      const detail = problem === undefined ? 'has not said yet how far its proxies are' : `does not answer at ${pilot.address}: ${problem}`;
      return [{ proxyId: `pilot ${pilot.pilot}`, state: ProxyLag_State.LAGGING, detail }];
    });
    return this.#options.directory.goneUntil() === undefined ? lags : [...lags, { proxyId: 'pilot', state: ProxyLag_State.LAGGING, detail: 'another pilot is gone: its proxies may be on their way to others' }];
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer();
    this.#stopListening();
    for (const { stop } of this.#followed.values()) stop();
  }

  /** Pilots came or went. */
  #look(): void {
    const { directory, clock, onChange } = this.#options;
    const present = new Map(directory.others().map((pilot) => [pilot.id, pilot]));
    for (const [id, { pilot, stop }] of this.#followed) {
      if (present.get(id) === pilot) continue;
      stop();
      this.#followed.delete(id);
    }
    for (const pilot of present.values()) if (!this.#followed.has(pilot.id)) this.#open(pilot);
    const until = directory.goneUntil();
    if (until !== undefined) {
      this.#somebodyIsAway();
      this.#cancelTimer();
      this.#cancelTimer = clock.after(Math.max(1, until - clock.monotonic() + 1), () => this.#look());
    }
    onChange();
  }

  #open(pilot: OtherPilot, before: Pick<Followed, 'look' | 'problem'> = { look: undefined, problem: undefined }): void {
    const followed: Followed = { pilot, ...before, stop: () => undefined };
    this.#followed.set(pilot.id, followed);
    if (typeof pilot.api === 'string') {
      followed.problem = pilot.api;
      return;
    }
    const stream = pilot.api.follow({ ...this.#options.request, newcomers: this.#newcomers }, {
      onLook: (look) => {
        if (this.#followed.get(pilot.id) !== followed) return;
        followed.look = look;
        followed.problem = undefined;
        this.#options.onChange();
      },
      onEnd: (failure) => this.#ended(followed, failure),
    });
    followed.stop = () => stream.stop();
  }

  #ended(followed: Followed, failure: string | undefined): void {
    const { pilot, look } = followed;
    if (this.#stopped || this.#followed.get(pilot.id) !== followed) return;
    followed.problem = failure ?? (look ? undefined : 'it ended the answer');
    if (followed.problem !== undefined) followed.look = undefined;
    followed.stop = this.#options.clock.after(againMs, () => this.#open(pilot, followed));
    if (followed.problem !== undefined) this.#somebodyIsAway();
    this.#options.onChange();
  }

  /** The others are asked anew, so that they count who comes to them. */
  #somebodyIsAway(): void {
    if (this.#newcomers) return;
    this.#newcomers = true;
    for (const { pilot, problem, stop } of this.#followed.values()) {
      // It is asked again in any case.
      if (problem !== undefined) continue;
      stop();
      this.#open(pilot);
    }
  }
}
