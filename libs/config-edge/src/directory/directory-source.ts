import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConfigSource, SourceEvent } from '@meltemi/config';
import { readDocuments } from '../read-documents.ts';
import { ChangeSignal } from './change-signal.ts';
import { reasonOf, scanDirectory, type Scan, type ScannedFile } from './scan-directory.ts';
import { fileState, SourceState, unreadFile, type FileState } from './source-state.ts';

export interface DirectorySourceOptions {
  /** Or a single file. */
  readonly directory: string;
  /** Between a change and the scan it causes; default 50 ms. */
  readonly debounceMs?: number;
  /** A file younger than this may be half-written and is looked at again later, at most `maxUnsettledMs` long; default 100 ms. */
  readonly settleMs?: number;
  /** Between scans without a reported change; default 5 s. */
  readonly rescanMs?: number;
  /** A larger file is a problem; default 4 MiB. */
  readonly maxFileBytes?: number;
  /** Default 10,000. */
  readonly maxFiles?: number;
}

type Settings = Required<DirectorySourceOptions>;

const maxUnsettledMs = 2000;
const maxDepth = 32;

/** The objects in the *.yaml, *.yml and *.json files of a directory tree, or in one file, never written to. Among files the first in order of path wins. */
export function directorySource(options: DirectorySourceOptions): ConfigSource {
  const settings: Settings = { debounceMs: 50, settleMs: 100, rescanMs: 5000, maxFileBytes: 4 * 1024 * 1024, maxFiles: 10_000, ...options };
  return { name: `directory ${settings.directory}`, watch: (signal) => watchDirectory(settings, signal) };
}

async function* watchDirectory(settings: Settings, signal: AbortSignal): AsyncGenerator<SourceEvent> {
  const changes = new ChangeSignal(settings.directory);
  const state = new SourceState();
  const tree = new Tree(settings);
  try {
    for (let first = true; !signal.aborted; first = false) {
      // Watching starts before the scan: what changes during it is reported and scanned again.
      const settled = await tree.scan(first ? 0 : settings.settleMs);
      for (const event of state.update(tree.files(), tree.problems())) {
        if (signal.aborted) return;
        yield event;
      }
      if (first) yield { type: 'synced' };
      await changes.next(first ? 0 : settled ? settings.rescanMs : settings.settleMs, signal);
      await delay(settings.debounceMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    changes.close();
  }
}

/** What is known of every file, and of directories that could not be read. */
class Tree {
  readonly #settings: Settings;
  readonly #files = new Map<string, FileState>();
  /** Files too young to read, and when they were first seen so. */
  readonly #unsettled = new Map<string, number>();
  #unreadable: Scan['unreadable'] = [];

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  files(): FileState[] {
    return [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
  }

  problems(): { file: string; line: number; path: string; message: string }[] {
    return this.#unreadable.map(({ path, message }) => ({ file: path, line: 0, path: '', message }));
  }

  /** Reads what changed. False when files were too young: scan again after `settleMs`. */
  async scan(settleMs: number): Promise<boolean> {
    const { directory, maxFiles } = this.#settings;
    const { files, unreadable } = await scanDirectory(directory, { maxFiles, maxDepth });
    this.#unreadable = unreadable;
    this.#forget(new Set(files.map((file) => file.path)));
    this.#settle(files);
    for (const file of files) {
      const before = this.#files.get(file.path);
      if (before?.signature === file.signature && file.signature !== '') continue;
      if (this.#isYoung(file, settleMs)) continue;
      this.#files.set(file.path, await this.#read(file, before));
    }
    return this.#unsettled.size === 0;
  }

  #forget(present: ReadonlySet<string>): void {
    for (const path of this.#files.keys()) {
      const hidden = this.#unreadable.some((directory) => path === directory.path || path.startsWith(`${directory.path}/`));
      if (!present.has(path) && !hidden) this.#files.delete(path);
    }
  }

  #settle(files: readonly ScannedFile[]): void {
    const present = new Set(files.map((file) => file.path));
    for (const path of this.#unsettled.keys()) if (!present.has(path)) this.#unsettled.delete(path);
  }

  #isYoung(file: ScannedFile, settleMs: number): boolean {
    const now = Date.now();
    const since = this.#unsettled.get(file.path) ?? now;
    const young = Math.abs(now - file.modifiedMs) < settleMs && now - since < maxUnsettledMs;
    if (young) this.#unsettled.set(file.path, since);
    else this.#unsettled.delete(file.path);
    return young;
  }

  async #read(file: ScannedFile, before: FileState | undefined): Promise<FileState> {
    const { maxFileBytes } = this.#settings;
    if (file.problem !== undefined) return unreadFile(file.path, file.signature, file.problem, before);
    if (file.bytes > maxFileBytes) return unreadFile(file.path, file.signature, `has ${file.bytes} bytes, a config file may have ${maxFileBytes}: split it`, before);
    try {
      return fileState(file.path, file.signature, readDocuments(await readFile(file.path, 'utf8'), file.path), before);
    } catch (cause) {
      // No signature: tried again at each scan, since permissions may change without the file.
      return unreadFile(file.path, '', reasonOf(cause), before);
    }
  }
}
