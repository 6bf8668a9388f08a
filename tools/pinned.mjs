// How a long-running tool starts from whatever Node the machine has: install what is missing, build the named apps, then run the script on the pinned Node.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureInstalled, pinnedNode, repository, requireNode20, step, toolEnvironment } from './install.mjs';

/** Runs `tools/<script>` with the arguments, after building `projects` (nx keeps what is built already); ends with the script's exit code. */
export async function runPinned(script, args, projects = []) {
  requireNode20();
  await ensureInstalled();
  const env = { ...toolEnvironment(), NODE_OPTIONS: '' };
  const asksForHelp = args.includes('--help') || args.includes('-h');
  if (projects.length > 0 && !asksForHelp) await step(`building ${projects.join(', ')}`, join(repository, 'node_modules/.bin/nx'), ['run-many', '-t', 'build', `--projects=${projects.join(',')}`, '--outputStyle=static'], { env });
  const child = spawn(pinnedNode(), [join(repository, 'tools', script), ...args], { stdio: 'inherit', env });
  // The terminal sends Ctrl-C to both; this one only waits for the other to clean up.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal); });
  child.once('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}
