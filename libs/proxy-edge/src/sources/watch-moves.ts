import { watch, type FSWatcher } from 'node:fs';

export interface MoveWatch {
  readonly directory: string;
  /** Only this name in it; null = any. */
  readonly name: string | null;
  readonly onMove: () => void;
  /** The directory cannot be watched now: it is tried again every second. */
  readonly onError: (reason: string) => void;
}

const retryMs = 1000;

/**
 * Tells when something is moved into a directory, the way config files and Kubernetes' `..data` links are replaced. Writing into a file
 * is no event, as in Envoy: nobody should read it half-written. Returns what stops it.
 */
export function watchMoves({ directory, name, onMove, onError }: MoveWatch): () => void {
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let failed = false;
  const again = (reason: string) => {
    watcher?.close();
    watcher = undefined;
    if (stopped || timer) return;
    if (!failed) onError(reason);
    failed = true;
    timer = setTimeout(() => {
      timer = undefined;
      start();
    }, retryMs);
    timer.unref();
  };
  const start = () => {
    try {
      watcher = watch(directory, { persistent: false }, (event, changed) => {
        if (event === 'rename' && (name === null || changed === null || changed === name)) onMove();
      });
      watcher.on('error', (cause) => again(cause.message));
    } catch (cause) {
      return again(cause instanceof Error ? cause.message : String(cause));
    }
    // What was moved while nobody looked.
    if (failed) onMove();
    failed = false;
    return undefined;
  };
  start();
  return () => {
    stopped = true;
    clearTimeout(timer);
    watcher?.close();
  };
}
