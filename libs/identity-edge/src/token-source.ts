import { open } from 'node:fs/promises';

/**
 * Where a token comes from, a join token, a Kubernetes service account's or an OpenID issuer's; asked before each attempt that needs one. Undefined: there is
 * none (any more).
 */
export type JoinTokenSource = () => Promise<string | undefined>;

const maxTokenFileBytes = 16_384;
const maxRootFileBytes = 65_536;

/** Reads the token from a file each time, so that a fresh token put there is found without a restart. A missing file is no token. */
export function joinTokenFile(path: string): JoinTokenSource {
  return async () => {
    const text = (await readStart(path, maxTokenFileBytes))?.trim();
    return text === '' ? undefined : text;
  };
}

/** Reads root certificates, PEM, each time they are needed. Undefined: the file is not there (yet). */
export function rootFile(path: string): () => Promise<string | undefined> {
  return () => readStart(path, maxRootFileBytes);
}

async function readStart(path: string, maxBytes: number): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** A token that is already at hand, for tests and for one passed in the environment. */
export function joinTokenText(text: string): JoinTokenSource {
  return async () => text;
}
