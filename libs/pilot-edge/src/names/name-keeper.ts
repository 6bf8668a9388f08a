import { promises as dns } from 'node:dns';
import type { Clock } from '@meltemi/base';
import type { ResolvedNames } from '@meltemi/pilot';

export interface NameKeeperOptions {
  /** All addresses of a name; rejects when there are none. */
  readonly resolve: (name: string) => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly log: { warn(fields: object, message: string): void };
  /** `addresses` is another map now. */
  readonly onChange: () => void;
  /** Default 30 s, the least that Istio waits. */
  readonly refreshMs?: number;
}

const defaultRefreshMs = 30_000;
/** Objects may name more, but no more are looked up. */
const maxNames = 1_000;

/** Asks the system, for both families of addresses. */
export const systemNames: NameKeeperOptions['resolve'] = async (name) => (await dns.lookup(name, { all: true })).map(({ address }) => address);

interface Name {
  addresses: readonly string[];
  cancel: (() => void) | null;
}

/** Keeps names looked up. What was found stays when looking it up again fails. */
export class NameKeeper {
  readonly #options: NameKeeperOptions;
  readonly #names = new Map<string, Name>();
  #addresses: ResolvedNames = new Map();

  constructor(options: NameKeeperOptions) {
    this.#options = options;
  }

  /** What is known now; immutable. */
  get addresses(): ResolvedNames {
    return this.#addresses;
  }

  /** From now on exactly these are kept. */
  want(wanted: readonly string[]): void {
    const all = new Set(wanted.slice(0, maxNames));
    if (wanted.length > maxNames) this.#options.log.warn({ most: maxNames }, 'too many gateways are named: the last ones are not looked up');
    let gone = false;
    for (const [name, { cancel, addresses }] of this.#names) {
      if (all.has(name)) continue;
      cancel?.();
      this.#names.delete(name);
      gone ||= addresses.length > 0;
    }
    if (gone) this.#publish();
    for (const name of all) {
      if (this.#names.has(name)) continue;
      this.#names.set(name, { addresses: [], cancel: null });
      void this.#lookUp(name);
    }
  }

  stop(): void {
    for (const { cancel } of this.#names.values()) cancel?.();
    this.#names.clear();
  }

  /** Never rejects. */
  async #lookUp(name: string): Promise<void> {
    const found = await this.#options.resolve(name).catch((cause: unknown) => {
      this.#options.log.warn({ name, err: cause }, 'a network gateway cannot be looked up; what was known of it stays');
      return undefined;
    });
    const entry = this.#names.get(name);
    if (entry === undefined) return;
    entry.cancel?.();
    entry.cancel = this.#options.clock.after(this.#options.refreshMs ?? defaultRefreshMs, () => void this.#lookUp(name));
    const sorted = found && [...new Set(found)].toSorted();
    if (sorted === undefined || String(sorted) === String(entry.addresses)) return;
    entry.addresses = sorted;
    this.#publish();
  }

  #publish(): void {
    this.#addresses = new Map([...this.#names].flatMap(([name, { addresses }]) => (addresses.length > 0 ? [[name, addresses] as const] : [])));
    this.#options.onChange();
  }
}
