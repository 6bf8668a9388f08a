import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The programs a mesh is made of. */
export type ProgramName = 'pilot' | 'citadel' | 'telemetry' | 'proxy' | 'cli' | 'bookinfo' | 'echo';

/** How to run a program: bundles start in a fifth of the time and memory of type-stripped sources, which need no build. */
export function programCommand(name: ProgramName, from: 'source' | 'bundle'): readonly [command: string, ...args: string[]] {
  const file = join(repository, 'apps', name, from === 'bundle' ? 'dist/main.js' : 'src/main.ts');
  if (!existsSync(file)) throw new Error(`${file} is missing${from === 'bundle' ? ': run npx nx run-many -t build' : ''}`);
  return [process.execPath, '--disable-warning=ExperimentalWarning', file];
}

/** The program behind an image's name: ours for Bookinfo's and the echo samples' images, Istio's included. Undefined when we have none. */
export function imageProgram(image: string, args: readonly string[]): { program: ProgramName; args: readonly string[]; env: Readonly<Record<string, string>> } | undefined {
  const name = image.slice(image.lastIndexOf('/') + 1).replace(/[:@].*$/, '');
  const book = /bookinfo-(productpage|details|reviews|ratings)-(v\d+)/.exec(name);
  if (book?.[1] && book[2]) return { program: 'bookinfo', args: [book[1]], env: { SERVICE_VERSION: book[2] } };
  if (name === 'echo') return { program: 'echo', args, env: {} };
  if (name === 'tcp-echo-server') return { program: 'echo', args: ['--tcp', args[0] ?? '9000', '--version', args[1] ?? 'hello'], env: {} };
  return undefined;
}
