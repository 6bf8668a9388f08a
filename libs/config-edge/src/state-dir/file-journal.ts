import { open, readFile, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '@meltemi/base';
import type { Journal, JournalRecord, StoreContents, StoreError } from '@meltemi/config';
import { encodeLine, readJournal, readSnapshot } from './journal-format.ts';

/** What was on disk, and what of it could not be used. */
export interface JournalOpened {
  readonly journal: Journal;
  readonly contents: StoreContents | undefined;
  readonly records: readonly JournalRecord[];
  /** Bytes after the last whole record: a write that a crash cut short, or damage. 0 normally. */
  readonly droppedBytes: number;
  /** Where those bytes were kept; undefined when nothing was dropped. */
  readonly droppedTo: string | undefined;
}

export interface JournalOptions {
  readonly directory: string;
  /** The journal is folded into a snapshot when it has grown beyond this; default 4 MiB. */
  readonly maxJournalBytes: number;
}

/**
 * Opens `snapshot` and `journal` in a directory whose lock is held. Fails, touching nothing, on a snapshot that does not add up: it was renamed into place
 * whole, so that is damage to the disk and somebody must decide.
 */
export async function openJournal(options: JournalOptions): Promise<Result<JournalOpened, string>> {
  const snapshotPath = join(options.directory, 'snapshot');
  const journalPath = join(options.directory, 'journal');
  const snapshotBytes = await readIfThere(snapshotPath);
  const contents = snapshotBytes === undefined ? undefined : readSnapshot(snapshotBytes);
  if (snapshotBytes !== undefined && contents === undefined) {
    return err(`${snapshotPath} is damaged (checksum): restore it from a backup, or move it away to start from the journal alone`);
  }
  const bytes = (await readIfThere(journalPath)) ?? Buffer.alloc(0);
  const reading = readJournal(bytes);
  const version = contents?.version ?? 0;
  const records = afterSnapshot(reading.records, version);
  if (records === undefined) return err(`${journalPath} does not continue ${snapshotPath} (version ${version}): they are from different times, restore both from one backup`);
  const droppedBytes = bytes.length - reading.validBytes;
  const droppedTo = droppedBytes > 0 ? join(options.directory, `journal.dropped-${reading.validBytes}`) : undefined;
  if (droppedTo !== undefined) await writeFile(droppedTo, bytes.subarray(reading.validBytes), { mode: 0o600 });
  const file = await open(journalPath, 'a', 0o600);
  await file.truncate(reading.validBytes);
  await file.datasync();
  await syncDirectory(options.directory);
  return ok({ journal: new FileJournal(options, file, reading.validBytes), contents, records, droppedBytes, droppedTo });
}

class FileJournal implements Journal {
  readonly #options: JournalOptions;
  #file: FileHandle;
  #bytes: number;
  /** Set when the disk's state is unknown: after a failed fsync nothing may be acknowledged until the files are read again. */
  #broken: string | undefined;

  constructor(options: JournalOptions, file: FileHandle, bytes: number) {
    this.#options = options;
    this.#file = file;
    this.#bytes = bytes;
  }

  async append(record: JournalRecord, contents: () => StoreContents): Promise<Result<void, StoreError>> {
    if (this.#broken !== undefined) return unavailable(this.#broken, false);
    if (this.#bytes > this.#options.maxJournalBytes) {
      // A snapshot that fails (disk full) is no reason to refuse the write: the journal still holds everything. A broken one is.
      await this.#fold(contents()).catch(() => undefined);
      if (this.#broken !== undefined) return unavailable(this.#broken, false);
    }
    const line = encodeLine(record);
    try {
      await this.#file.appendFile(line);
    } catch (cause) {
      return this.#undo(`cannot write ${this.#path('journal')}: ${reason(cause)}`);
    }
    try {
      await this.#file.datasync();
    } catch (cause) {
      this.#broken = `cannot make ${this.#path('journal')} durable: ${reason(cause)}; check the disk and restart`;
      return unavailable(this.#broken, true);
    }
    this.#bytes += line.length;
    return ok(undefined);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Cuts a half-written record off again, so that the next one starts on its own line. */
  async #undo(message: string): Promise<Result<void, StoreError>> {
    try {
      await this.#file.truncate(this.#bytes);
      return unavailable(message, false);
    } catch (cause) {
      this.#broken = `${message}; nor cut it back: ${reason(cause)}; check the disk and restart`;
      return unavailable(this.#broken, false);
    }
  }

  /** Snapshot, then an empty journal, each renamed into place. Between the two the journal repeats what the snapshot has: reading skips that. */
  async #fold(contents: StoreContents): Promise<void> {
    await this.#replace('snapshot', encodeLine(contents));
    const previous = this.#file;
    try {
      await this.#replace('journal', Buffer.alloc(0));
      this.#file = await open(this.#path('journal'), 'a', 0o600);
      this.#bytes = 0;
    } catch (cause) {
      // Which file has the name now is unknown; going on could write into one that no longer has any.
      this.#broken = `cannot start a new ${this.#path('journal')}: ${reason(cause)}; check the disk and restart`;
      throw cause;
    }
    await previous.close();
  }

  async #replace(name: string, bytes: Buffer): Promise<void> {
    const draft = this.#path(`${name}.new`);
    await rm(draft, { force: true });
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, this.#path(name));
    await syncDirectory(this.#options.directory);
  }

  #path(name: string): string {
    return join(this.#options.directory, name);
  }
}

/** The records the snapshot does not have yet; undefined when a version is missing between them. Statuses before the snapshot's last commit are in it. */
function afterSnapshot(records: readonly JournalRecord[], version: number): JournalRecord[] | undefined {
  let next = version + 1;
  const kept: JournalRecord[] = [];
  for (const record of records) {
    if (record.type === 'commit' && record.version < next) continue;
    if (record.type === 'commit' && record.version > next) return undefined;
    if (record.type === 'commit') next += 1;
    kept.push(record);
  }
  return kept;
}

/** Makes renames and new files in `directory` survive a power failure. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
}

function unavailable(message: string, outcomeUnknown: boolean): { readonly ok: false; readonly error: StoreError } {
  return err({ code: 'unavailable', message, outcomeUnknown });
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
