import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { StartError } from './start-error.ts';

/** Says where a running program can be reached: `{"pid": 12, "ports": {"admin": 15014}}`. */
export interface PortsFile {
  readonly pid: number;
  readonly ports: Readonly<Record<string, number>>;
}

/** Written beside and renamed over, so that a reader sees all or nothing. */
export function writePortsFile(file: string, content: PortsFile): void {
  const half = `${file}.${content.pid}.tmp`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(half, `${JSON.stringify(content)}\n`);
    renameSync(half, file);
  } catch (cause) {
    throw new StartError(`--ports-file ${file}: cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Before start and after stop: a file left behind would send readers to a port that is nobody's. */
export function removePortsFile(file: string): void {
  rmSync(file, { force: true });
}
