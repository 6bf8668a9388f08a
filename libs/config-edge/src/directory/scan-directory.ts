import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A config file as the scan met it. */
export interface ScannedFile {
  /** Absolute, or as `root` was given. */
  readonly path: string;
  /** Different whenever the file may have other content. "" when it cannot be looked at: see `problem`. */
  readonly signature: string;
  readonly modifiedMs: number;
  readonly bytes: number;
  readonly problem?: string;
}

export interface Scan {
  readonly files: readonly ScannedFile[];
  /** Directories that could not be read; what was known below them is not gone. */
  readonly unreadable: readonly { readonly path: string; readonly message: string }[];
}

export interface ScanLimits {
  readonly maxFiles: number;
  readonly maxDepth: number;
}

/**
 * Every *.yaml, *.yml and *.json below `root`, in order of path; a root that is itself a file is read whatever its name. Follows links, each directory once; leaves out names that begin with a dot (editors' and
 * Kubernetes' "..data" behind the links of a mounted ConfigMap).
 */
export async function scanDirectory(root: string, limits: ScanLimits): Promise<Scan> {
  const files: ScannedFile[] = [];
  const unreadable: { path: string; message: string }[] = [];
  const visited = new Set<string>();
  const walk = async (directory: string, depth: number): Promise<void> => {
    const identity = await stat(directory, { bigint: true });
    const id = `${identity.dev}:${identity.ino}`;
    if (visited.has(id)) return;
    visited.add(id);
    if (depth > limits.maxDepth) return void unreadable.push({ path: directory, message: `is nested deeper than ${limits.maxDepth} directories: not read` });
    for (const entry of (await readdir(directory)).sort()) {
      if (entry.startsWith('.')) continue;
      const path = join(directory, entry);
      const isConfig = /\.(ya?ml|json)$/i.test(entry);
      const found = await look(path);
      if (found.directory) await walk(path, depth + 1).catch((cause: unknown) => notGone(cause, path, unreadable));
      else if (isConfig && files.length >= limits.maxFiles) return void unreadable.push({ path: directory, message: `has more files than the ${limits.maxFiles} that are read: the rest are not` });
      else if (isConfig && found.file !== undefined) files.push(found.file);
    }
  };
  const whole = await look(root);
  if (whole.file !== undefined && whole.file.problem === undefined) return { files: [whole.file], unreadable };
  await walk(root, 0).catch((cause: unknown) => unreadable.push({ path: root, message: reasonOf(cause) }));
  return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)), unreadable };
}

async function look(path: string): Promise<{ readonly directory: boolean; readonly file?: ScannedFile }> {
  try {
    const found = await stat(path, { bigint: true });
    if (found.isDirectory()) return { directory: true };
    // A pipe or a device would block, or never end.
    if (!found.isFile()) return { directory: false };
    const signature = [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(':');
    return { directory: false, file: { path, signature, modifiedMs: Number(found.mtimeMs), bytes: Number(found.size) } };
  } catch (cause) {
    return { directory: false, file: { path, signature: '', modifiedMs: 0, bytes: 0, problem: reasonOf(cause) } };
  }
}

function notGone(cause: unknown, path: string, unreadable: { path: string; message: string }[]): void {
  if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return;
  unreadable.push({ path, message: reasonOf(cause) });
}

/** What went wrong, without the path, which stands before it. */
export function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT') return 'does not exist, or is a link to nothing';
  if (code === 'EACCES') return 'cannot be read: permission denied';
  return `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
}
