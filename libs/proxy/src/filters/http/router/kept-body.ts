import { HeldBody } from '../../../http/held-body.ts';

/** Why a body is kept after it was sent: a retry policy or mirror, or only to send it again where a host has surely not seen it. */
export type KeptFor = 'policy' | 'replay' | 'none';

/** What is kept of a body that no policy asks to keep. */
const replayLimit = 64 * 1024;

/** A request's body as long as an attempt may need it. @hot */
export class KeptBody {
  /** What came so far; null when nothing is needed. */
  held: HeldBody | null = null;
  reason: KeptFor = 'none';
  readonly #limit: number;

  /** `limit`: bytes that a policy may keep, and about which reading stops while there is no connection. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** All of it is kept, also after it was sent. */
  get kept(): boolean {
    return this.reason !== 'none';
  }

  /** No more should be read while nobody takes it. */
  get nearlyFull(): boolean {
    return this.held !== null && this.held.bytes > this.#limit / 2;
  }

  /** From now on; what is there stays until `written`. */
  keep(reason: KeptFor): void {
    this.reason = reason;
  }

  /** False when there is more than may be kept. `unsent`: no attempt has a connection yet, so it must be held in any case. */
  add(buffer: Buffer, start: number, end: number, unsent: boolean): boolean {
    const bytes = (this.held ??= new HeldBody()).add(buffer, start, end);
    const fits = this.reason === 'none' || bytes <= (this.reason === 'policy' ? this.#limit : Math.min(this.#limit, replayLimit));
    if (!fits && !unsent) this.held = null;
    return fits;
  }

  /** The attempt under way has what is held. */
  written(): void {
    if (!this.kept) this.held = null;
  }

  /** An answer goes to the client: no attempt follows. `flown`: the rest of the body will not be sent from here. */
  answered(flown: boolean): void {
    this.reason = 'none';
    if (flown) this.held = null;
  }
}
