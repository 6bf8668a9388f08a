import { appendFileSync } from 'node:fs';
import type { CitadelLog } from './certificate-handlers.ts';

/**
 * A log whose audit lines also go to a file of mode 0600, JSON each with time and message. The file is opened for every line: who moves it away gets a new
 * one. A line that cannot be written is said in the log, which has it, too; nothing is held up by it.
 */
export function withAuditFile(log: CitadelLog, path: string, now: () => number): CitadelLog {
  let broken = false;
  const write = (fields: object, message: string): void => {
    if (!('audit' in fields)) return;
    try {
      appendFileSync(path, `${JSON.stringify({ time: new Date(now()).toISOString(), message, ...fields })}\n`, { mode: 0o600 });
      broken = false;
    } catch (cause) {
      if (!broken) log.error({ path, reason: cause instanceof Error ? cause.message : String(cause) }, 'the audit file cannot be written');
      broken = true;
    }
  };
  const both = (level: 'info' | 'warn' | 'error') => (fields: object, message: string): void => {
    log[level](fields, message);
    write(fields, message);
  };
  return { info: both('info'), warn: both('warn'), error: both('error'), debug: (fields, message) => log.debug?.(fields, message) };
}
