import { execSync } from 'node:child_process';
import httpFilter, { afterwards, type HttpFilterOptions } from './http-filter.ts';
import type { Tree } from '../tree.ts';

/** The same for `nx g`: Nx calls what this returns once it has written the files. */
export default function nxHttpFilter(tree: Tree & { readonly root: string }, options: HttpFilterOptions): () => void {
  httpFilter(tree, options);
  return () => void execSync(afterwards, { cwd: tree.root, stdio: 'inherit' });
}
