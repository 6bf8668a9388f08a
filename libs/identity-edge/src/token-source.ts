import { open } from 'node:fs/promises';

/** Where a join token comes from; asked before each attempt that needs one. Undefined: there is none (any more). */
export type JoinTokenSource = () => Promise<string | undefined>;

const maxTokenFileBytes = 8192;

/** Reads the token from a file each time, so that a fresh token put there is found without a restart. A missing file is no token. */
export function joinTokenFile(path: string): JoinTokenSource {
  return async () => {
    let file;
    try {
      file = await open(path, 'r');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
      throw cause;
    }
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxTokenFileBytes), 0, maxTokenFileBytes, 0);
      const text = buffer.toString('utf8', 0, bytesRead).trim();
      return text === '' ? undefined : text;
    } finally {
      await file.close();
    }
  };
}

/** A token that is already at hand, for tests and for one passed in the environment. */
export function joinTokenText(text: string): JoinTokenSource {
  return async () => text;
}
