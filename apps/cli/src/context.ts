import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { CliError } from './cli-error.ts';

/** How to reach a mesh: written by npm start, or by hand. */
export interface MeshContext {
  /** Pilot's config API: a Unix socket. */
  readonly configSocket?: string;
  /** The same over mTLS: host:port of pilot's --config-listen; then `citadelAddress`, `identity` and `stateDir` say who calls. */
  readonly configAddress?: string;
  readonly citadelAddress?: string;
  /** `spiffe://…`, an identity that pilot's --config-rbac or --config-allow names. */
  readonly identity?: string;
  /** Where the caller's key and certificate are kept. */
  readonly stateDir?: string;
  /** For the first certificate. */
  readonly joinTokenFile?: string;
  /** Citadel's token socket. */
  readonly citadelSocket?: string;
  readonly telemetry?: string;
  readonly gateway?: string;
  readonly proxies: readonly { readonly id: string; readonly admin: string }[];
}

/**
 * Finds the mesh: --context, else $MELTEMI_CONTEXT, else .meltemi/context.json here or in a parent folder, else ~/.meltemi/context.json.
 * Fails saying where it looked and what to do.
 */
export function findContext(given: string | undefined, env: NodeJS.ProcessEnv = process.env, cwd = process.cwd()): MeshContext {
  const named = given ?? env['MELTEMI_CONTEXT'];
  const file = named ?? nearest(cwd) ?? join(homedir(), '.meltemi/context.json');
  if (!existsSync(file)) {
    throw new CliError(named
      ? `There is no context file ${file}. npm start writes one to .meltemi/context.json; name another with --context.`
      : 'No running mesh found: there is no .meltemi/context.json here, in a parent folder or in your home. Start one with npm start, or name its context file with --context.');
  }
  return readContext(file);
}

function readContext(file: string): MeshContext {
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as Partial<MeshContext>;
    return { ...read, proxies: read.proxies ?? [] };
  } catch (cause) {
    throw new CliError(`The context file ${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}. Start the mesh again with npm start to write a new one.`);
  }
}

function nearest(from: string): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const file = join(folder, '.meltemi/context.json');
    if (existsSync(file)) return file;
    if (dirname(folder) === folder) return undefined;
  }
}
