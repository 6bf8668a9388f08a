import type { Command } from 'commander';
import { findContext, type MeshContext } from './context.ts';
import type { Output } from './output.ts';

/** What every command gets. */
export interface CommandEnvironment {
  readonly output: Output;
  /** Reads all of standard input. */
  readonly stdin: () => Promise<string>;
  /** The mesh the command line (or the folder) names. */
  readonly context: () => MeshContext;
}

/** A command is one folder with one function that adds it to the program. */
export type CommandModule = (program: Command, environment: CommandEnvironment) => void;

/** The environment of a parsed program: `--context` is read when a command needs it. */
export function commandEnvironment(program: Command, output: Output): CommandEnvironment {
  return {
    output,
    stdin: readStdin,
    context: () => findContext(program.opts<{ context?: string }>().context),
  };
}

const maxStdinBytes = 16 * 1024 * 1024;

async function readStdin(): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxStdinBytes) throw new Error('standard input is larger than 16 MiB');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
