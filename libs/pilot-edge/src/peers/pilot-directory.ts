import type { Clock } from '@meltemi/base';
import type { LeasedValues } from '@meltemi/config';
import type { PeerApi } from './peer-api.ts';

/** What a pilot says of itself to the others over the same store. */
export interface PilotRecord {
  /** For people: its host's name. */
  readonly pilot: string;
  /** Where it answers other pilots, host:port; empty: nowhere. */
  readonly address: string;
  readonly version: string;
}

/** Another pilot, known by its record. */
export interface OtherPilot extends PilotRecord {
  readonly id: string;
  /** How to ask it, or why that is not possible. */
  readonly api: PeerApi | string;
}

export interface PilotDirectoryOptions {
  readonly values: LeasedValues;
  readonly clock: Clock;
  readonly log: { info(fields: object, message: string): void; error(fields: object, message: string): void };
  /** Of this pilot, and of no other. */
  readonly id: string;
  /** Dials an address, believing only a pilot's certificate; a text says why this pilot cannot. */
  readonly dial: (address: string) => PeerApi | string;
  /** How long the proxies of a pilot that is gone are on their way to others. */
  readonly graceMs: number;
}

/** More pilots than anybody runs over one store; of more, those beyond it are not asked. */
const maxPilots = 64;
const maxFieldChars = 256;

/** The pilots over one store, by the records that they hold there. A record proves nothing: who answers at its address proves by certificate to be a pilot. */
export class PilotDirectory {
  readonly #options: PilotDirectoryOptions;
  readonly #others = new Map<string, OtherPilot>();
  /** Pilots that left lately: id → until when their proxies may be on the way to others. */
  readonly #gone = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #stopping = new AbortController();
  #own: PilotRecord = { pilot: '', address: '', version: '' };
  #done: Promise<void> = Promise.resolve();

  constructor(options: PilotDirectoryOptions) {
    this.#options = options;
  }

  /** Learns of the others. */
  start(): void {
    this.#done = this.#follow();
    this.#done.catch((cause: unknown) => this.#options.log.error({ err: cause }, 'other pilots are not followed any more'));
  }

  /** Makes this pilot known. Others count on what it says from then on: it must have read its configuration. */
  announce(own: PilotRecord): void {
    const { values, id } = this.#options;
    if (this.#stopping.signal.aborted) return;
    this.#own = own;
    // What this pilot was before it started again, if that was another.
    for (const other of this.#at(own.address)) this.#forget(other);
    values.hold(id, JSON.stringify(own));
    this.#changed();
  }

  get own(): PilotRecord {
    return this.#own;
  }

  /** The others, by name. */
  others(): readonly OtherPilot[] {
    return [...this.#others.values()].toSorted((a, b) => (`${a.pilot} ${a.id}` < `${b.pilot} ${b.id}` ? -1 : 1)).slice(0, maxPilots);
  }

  /** Until when, on the monotonic clock, proxies of pilots that left may be on the way to others; undefined: none are. */
  goneUntil(): number | undefined {
    const now = this.#options.clock.monotonic();
    for (const [id, until] of this.#gone) if (until <= now) this.#gone.delete(id);
    return this.#gone.size === 0 ? undefined : Math.max(...this.#gone.values());
  }

  /** Called when a pilot comes or goes; returns how to unsubscribe. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the others that this pilot goes. */
  async stop(): Promise<void> {
    const { values, id } = this.#options;
    values.release(id, 0);
    await values.close();
    this.#stopping.abort();
    for (const { api } of this.#others.values()) if (typeof api !== 'string') api.close();
    await this.#done.catch(() => undefined);
  }

  async #follow(): Promise<void> {
    for await (const event of this.#options.values.watch(this.#stopping.signal)) {
      if (event.type === 'synced' || event.name === this.#options.id) continue;
      if (event.type === 'put') this.#came(event.name, event.value);
      else this.#left(event.name);
      this.#changed();
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #came(id: string, value: string): void {
    const record = readRecord(value);
    if (!record || (record.address !== '' && record.address === this.#own.address)) return;
    const known = this.#others.get(id);
    if (known?.address === record.address) {
      if (known.pilot !== record.pilot || known.version !== record.version) this.#others.set(id, { ...known, ...record });
      return;
    }
    // Nobody but a pilot that started again as another has an address that was taken: asked twice, its proxies would count twice.
    for (const other of this.#at(record.address)) this.#left(other.id);
    if (known) this.#forget(known);
    const api = record.address === '' ? 'it has no certificate of the mesh to be asked with (--citadel-address)' : this.#options.dial(record.address);
    this.#others.set(id, { id, ...record, api });
    this.#gone.delete(id);
    this.#options.log.info({ pilot: record.pilot, address: record.address }, 'another pilot is there');
  }

  #left(id: string): void {
    const known = this.#others.get(id);
    if (!known) return;
    this.#forget(known);
    this.#gone.set(id, this.#options.clock.monotonic() + this.#options.graceMs);
    this.#options.log.info({ pilot: known.pilot, address: known.address }, 'another pilot is gone');
  }

  #forget({ id, api }: OtherPilot): void {
    this.#others.delete(id);
    if (typeof api !== 'string') api.close();
  }

  /** Those that answer there, or did. */
  #at(address: string): OtherPilot[] {
    return address === '' ? [] : [...this.#others.values()].filter((other) => other.address === address);
  }
}

function readRecord(value: string): PilotRecord | undefined {
  try {
    const { pilot, address, version } = JSON.parse(value) as Partial<Record<string, unknown>>;
    return [pilot, address, version].every((each) => typeof each === 'string' && each.length <= maxFieldChars) ? { pilot: String(pilot), address: String(address), version: String(version) } : undefined;
  } catch {
    return undefined;
  }
}
