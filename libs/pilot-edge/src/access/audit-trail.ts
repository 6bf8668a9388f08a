import { appendFileSync, chmodSync, closeSync, openSync } from 'node:fs';
import type { ConfigKey } from '@meltemi/config';

/** One change of the configuration, made or refused. Names of objects, never what is in them. */
export interface AuditEntry {
  readonly who: string;
  readonly verb: 'apply' | 'delete';
  readonly dryRun: boolean;
  readonly objects: readonly ConfigKey[];
  /** Of the store, when it was written. */
  readonly revision: string;
  /** written: in the store. unchanged: there already. refused: an object is not valid, or breaks an expectation. denied: by access rules. failed: anything else. */
  readonly outcome: 'written' | 'unchanged' | 'refused' | 'denied' | 'failed';
  /** Why not; and what admission said of it. */
  readonly reason: string;
}

/** Where changes are written down. */
export interface AuditTrail {
  record(entry: AuditEntry): void;
}

export interface AuditTrailOptions {
  readonly log: { info(fields: object, message: string): void; error(fields: object, message: string): void };
  /** A file of JSON lines besides, opened for each line so that it may be moved away; mode 0600. */
  readonly file?: string | undefined;
  readonly now?: () => number;
  readonly onEntry?: (entry: AuditEntry) => void;
}

/** Objects named in one line; of more there is the count. */
const maxNamed = 50;
const maxReasonChars = 2000;

/** Writes to the log, and to a file when there is one. Throws when that file cannot be opened at the start. */
export function auditTrail({ log, file, now = Date.now, onEntry }: AuditTrailOptions): AuditTrail {
  if (file !== undefined) {
    closeSync(openSync(file, 'a', 0o600));
    chmodSync(file, 0o600);
  }
  return {
    record(entry) {
      onEntry?.(entry);
      const objects = entry.objects.slice(0, maxNamed).map(({ group, kind, namespace, name }) => `${kind}${group === '' ? '' : `.${group}`} ${namespace === '' ? '' : `${namespace}/`}${name}`);
      const line = { audit: true, ...entry, objects, objectCount: entry.objects.length, reason: entry.reason.slice(0, maxReasonChars) };
      log.info(line, `configuration ${entry.verb}: ${entry.outcome}`);
      if (file === undefined) return;
      try {
        appendFileSync(file, `${JSON.stringify({ time: new Date(now()).toISOString(), ...line })}\n`, { mode: 0o600 });
      } catch (cause) {
        log.error({ file, reason: cause instanceof Error ? cause.message : String(cause) }, 'the audit file cannot be written; the log has the line');
      }
    },
  };
}
