// `npm start`: installs and builds what is missing, then runs the mesh with Bookinfo on this machine (run.ts, on the pinned Node).
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureInstalled, pinnedNode, repository, requireNode20, step, toolEnvironment } from '../install.mjs';

requireNode20();
const help = process.argv.includes('--help') || process.argv.includes('-h');
if (!help) console.log('\n  Meltemi — a service mesh in TypeScript\n');
await ensureInstalled();
if (!help) await step('building the programs', join(repository, 'node_modules/.bin/nx'), ['run-many', '-t', 'build', '--outputStyle=static'], { env: toolEnvironment() });
const child = spawn(pinnedNode(), [join(repository, 'tools/start/run.ts'), ...process.argv.slice(2)], { stdio: 'inherit', env: { ...toolEnvironment(), NODE_OPTIONS: '' } });
// The terminal sends Ctrl-C to both; this one only waits for the other to clean up.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal); });
child.once('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
