import { writeSync } from 'node:fs';
import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger };

/** Accepted by --log-level: pino's words and Envoy's. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'warning', 'error', 'fatal', 'critical', 'off', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Envoy's level words to pino's. */
export function pinoLevel(level: string): string {
  return { warning: 'warn', critical: 'fatal', off: 'silent' }[level] ?? level;
}

export interface LogOptions {
  readonly name: string;
  readonly level: string;
  readonly format: 'json' | 'text';
  /** 1, 2, or an open file's. */
  readonly fd: number;
}

/** A pino logger, one JSON object (or one text line) per event, written at once so that the last words of a dying program are not lost. */
export function createLogger(options: LogOptions): Logger {
  return pino(
    {
      name: options.name,
      level: pinoLevel(options.level),
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (fields) => redactFields(fields, 0) as Record<string, unknown> },
    },
    options.format === 'json' ? jsonDestination(options.fd) : { write: (line) => writeText(options.fd, textLine(line)) },
  );
}

/** Lines that a full disk does not take wait for the next one, up to this much; then they are dropped. */
const maxWaitingBytes = 1024 * 1024;

function jsonDestination(fd: number): DestinationStream {
  const destination = pino.destination({ fd, sync: true, maxLength: maxWaitingBytes });
  // Nobody can be told, and no program ends for its log.
  destination.on('error', () => {});
  return destination;
}

const secretName = /(password|passphrase|secret|token|private_?key|authorization|cookie|credential)/i;
const harmlessName = /(file|path|dir|name|count|ttl|address|url|type|ms|expires?|at)$/i;

/** Fields whose name looks like a secret become "[redacted]", three levels deep; errors and class instances stay as they are. */
export function redactFields(value: unknown, depth: number): unknown {
  if (depth > 3 || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((entry) => redactFields(entry, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const clean: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) clean[name] = secretName.test(name) && !harmlessName.test(name) ? '[redacted]' : redactFields(field, depth + 1);
  return clean;
}

/** `2026-11-21T07:26:06.123Z info  pilot: message key=value` from a pino line. */
export function textLine(line: string): string {
  const { level, time, name, msg, pid: _pid, hostname: _hostname, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const error = rest['err'] as { stack?: string; message?: string } | undefined;
  if (error) rest['err'] = error.message;
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === 'string' && !/[\s"=]/.test(value) ? value : JSON.stringify(value)}`);
  return `${String(time)} ${String(level).padEnd(5)} ${String(name)}: ${typeof msg === 'string' ? msg : ''}${fields.join('')}${error?.stack ? `\n${error.stack}` : ''}\n`;
}

function writeText(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // A reader that is gone or slow must not end the program; JSON through pino retries, text is for people.
  }
}
