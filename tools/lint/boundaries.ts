// Checks the rules of the house over the Nx project graph: control and data never import each other, pure never imports edge,
// apps are imported by nobody, and pure code touches no door of the operating system. Prints one line per breach; exit code 1.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { breaches } from './rules.ts';
import { readWorkspace } from './workspace.ts';

const repo = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const found = breaches(readWorkspace(repo), (file) => readFileSync(resolve(repo, file), 'utf8'));
for (const breach of found) console.error(breach);
if (found.length > 0) {
  console.error(`\n${found.length} boundary breach(es). The rules: ARCHITECTURE in apps/docs, "Planes and hands".`);
  process.exitCode = 1;
}
