import { readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fail, formatFieldErrors, type Result } from '@meltemi/base';
import { responseIsComplete, type RejectedResource, type XdsResource } from '@meltemi/xds';
import { readDiscoveryFile, type DiscoveryFile } from '../bootstrap/discovery-file.ts';
import type { Feed, FeedEvents } from './feed.ts';
import { watchMoves } from './watch-moves.ts';

export interface FileFeedOptions {
  readonly path: string;
  readonly watchedDirectory: string | null;
  readonly typeUrl: string;
  readonly events: FeedEvents;
}

const maxFileBytes = 64 * 1024 * 1024;

/** Resources of one type from a file. It is read at once when something is asked for, and again whenever it was moved into place. */
export class FileFeed implements Feed {
  readonly stateOfTheWorld = true;
  readonly #options: FileFeedOptions;
  readonly #stopWatching: () => void;
  #wildcard = false;
  readonly #names = new Set<string>();
  /** Accepted resources: name → version. */
  readonly #held = new Map<string, string>();
  /** An update waits for its answer; a change meanwhile is read afterwards. */
  #open = false;
  #again = false;
  #stopped = false;

  constructor(options: FileFeedOptions) {
    this.#options = options;
    const { path, watchedDirectory, events } = options;
    this.#stopWatching = watchMoves({
      directory: watchedDirectory ?? dirname(path),
      name: watchedDirectory === null ? basename(path) : null,
      onMove: () => this.#read(),
      onError: (reason) => events.onFailure({ reason: `${path} is not watched: ${reason}`, rejected: false, final: false }),
    });
  }

  get label(): string {
    return `file ${this.#options.path}`;
  }

  subscribe(_typeUrl: string, names: Iterable<string> | '*'): void {
    if (names === '*') this.#wildcard = true;
    else for (const name of names) this.#names.add(name);
    this.#read();
  }

  unsubscribe(_typeUrl: string, names: Iterable<string> | '*'): void {
    if (names === '*') this.#wildcard = false;
    for (const name of names === '*' ? [] : names) {
      this.#names.delete(name);
      this.#held.delete(name);
    }
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#stopWatching();
    return Promise.resolve();
  }

  #read(): void {
    if (this.#stopped || (!this.#wildcard && this.#names.size === 0)) return;
    if (this.#open) {
      this.#again = true;
      return;
    }
    const { path, typeUrl, events } = this.#options;
    const bytes = readBytes(path);
    if (!bytes.ok) return events.onFailure({ reason: `${path}: ${formatFieldErrors(bytes.error)}`, rejected: false, final: true });
    const file = readDiscoveryFile(path, bytes.value, typeUrl);
    if (!file.ok) return events.onFailure({ reason: `${path}: ${formatFieldErrors(file.error)}`, rejected: true, final: true });
    this.#handOut(file.value);
  }

  #handOut({ version, resources }: DiscoveryFile): void {
    const { typeUrl, events } = this.#options;
    const asked = resources.filter(({ name }) => this.#wildcard || this.#names.has(name));
    const added = asked.filter((resource) => this.#held.get(resource.name) !== resource.version);
    const present = new Set(asked.map(({ name }) => name));
    const removed = responseIsComplete(typeUrl) ? [...this.#held.keys()].filter((name) => !present.has(name)) : [];
    this.#open = true;
    events.onUpdate({
      typeUrl, version, added, removed,
      accept: () => this.#settle(added, removed, []),
      reject: (errors) => (typeof errors === 'string' ? this.#settle([], [], []) : this.#settle(added, removed, errors)),
    });
  }

  #settle(added: readonly XdsResource[], removed: readonly string[], rejected: readonly RejectedResource[]): void {
    if (!this.#open) return;
    const refused = new Set(rejected.map(({ name }) => name));
    for (const { name, version } of added) if (!refused.has(name) && (this.#wildcard || this.#names.has(name))) this.#held.set(name, version);
    for (const name of removed) this.#held.delete(name);
    this.#open = false;
    if (!this.#again) return;
    this.#again = false;
    this.#read();
  }
}

function readBytes(path: string): Result<Buffer> {
  try {
    if (statSync(path).size > maxFileBytes) return fail('', 'is larger than 64 MiB');
    return { ok: true, value: readFileSync(path) };
  } catch (cause) {
    return fail('', cause instanceof Error ? cause.message : String(cause));
  }
}
