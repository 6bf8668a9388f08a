import { mkdir } from 'node:fs/promises';
import { err, ok, systemClock, type Clock, type Result } from '@meltemi/base';
import { RevisionStore, type ConfigStore, type Journal, type StoreLimits } from '@meltemi/config';
import { lockDirectory, type DirectoryLock } from './directory-lock.ts';
import { openJournal } from './file-journal.ts';

export interface StateDirOptions {
  readonly directory: string;
  /** Default: the system's. */
  readonly clock?: Clock;
  readonly limits?: Partial<StoreLimits>;
  /** Commits a watch can resume over; default 1000. */
  readonly maxHistory?: number;
  /** The journal is folded into a snapshot beyond this; default 4 MiB. */
  readonly maxJournalBytes?: number;
}

export interface StateDirOpened {
  readonly store: ConfigStore;
  /** Forgets the watch history up to now. */
  readonly compact: () => void;
  /** What a crash or damage left behind the last whole record, for the log; undefined normally. */
  readonly recovered: string | undefined;
}

/**
 * Opens (or creates, 0700) a state directory as a read-write ConfigStore with this process as its only writer. A commit is acknowledged after fsync; a
 * killed process loses none and leaves none half. The error says what to do: another process's pid, no permission, a damaged file.
 */
export async function openStateDir(options: StateDirOptions): Promise<Result<StateDirOpened, string>> {
  const { directory } = options;
  let lock: DirectoryLock | undefined;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const locked = await lockDirectory(directory);
    if (!locked.ok) return err(locked.error.message);
    lock = locked.value;
    const opened = await openJournal({ directory, maxJournalBytes: options.maxJournalBytes ?? 4 * 1024 * 1024 });
    if (!opened.ok) {
      await lock.release();
      return opened;
    }
    const { journal, contents, records, droppedBytes, droppedTo } = opened.value;
    const store = new RevisionStore({
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.maxHistory === undefined ? {} : { maxHistory: options.maxHistory }),
      ...(contents === undefined ? {} : { contents }),
      clock: options.clock ?? systemClock,
      journal: releasing(journal, lock),
      records,
    });
    const recovered = droppedTo === undefined ? undefined : `dropped ${droppedBytes} bytes of an unfinished or damaged record at the end of the journal; kept in ${droppedTo}`;
    return ok({ store, compact: () => store.compact(), recovered });
  } catch (cause) {
    await lock?.release();
    return err(`cannot open the state directory ${directory}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** The lock goes last, after the file is closed. */
function releasing(journal: Journal, lock: DirectoryLock): Journal {
  return {
    append: (record, contents) => journal.append(record, contents),
    close: async () => {
      await journal.close();
      await lock.release();
    },
  };
}
