// `npm test`: everything a change must pass, on a machine that has only git, Node ≥ 20 and npm. Installs what is missing, then runs each step.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureInstalled, repository, requireNode20, toolEnvironment } from '../install.mjs';
import { ensureDebianPackages } from './debian-packages.mjs';

requireNode20();
await ensureInstalled();
await ensureDebianPackages();

const env = toolEnvironment();
const nx = join(repository, 'node_modules/.bin/nx');
/** In this order: cheap checks first, whole meshes last. */
const steps = [
  ['generated stubs are what the protos give', nx, ['run-many', '-t', 'generate:check', '--outputStyle=static']],
  ['types', nx, ['run-many', '-t', 'typecheck', '--outputStyle=static']],
  ['lint and boundaries', nx, ['run-many', '-t', 'lint', '--outputStyle=static']],
  ['bundles', nx, ['run-many', '-t', 'build', '--outputStyle=static']],
  ['unit, contract and component tests', nx, ['run-many', '-t', 'test', '--outputStyle=static', '--parallel=2', '--nxBail=false']],
  ['whole meshes', nx, ['run-many', '-t', 'e2e', '--outputStyle=static', '--parallel=1', '--nxBail=false']],
];

const outcomes = [];
for (const [title, command, args] of steps) {
  const started = Date.now();
  console.log(`\n=== ${title}`);
  const { status } = spawnSync(command, args, { cwd: repository, env, stdio: 'inherit' });
  outcomes.push({ title, passed: status === 0, seconds: Math.round((Date.now() - started) / 1000) });
  if (status !== 0 && title === 'bundles') break;
}
console.log('');
for (const { title, passed, seconds } of outcomes) console.log(`${passed ? '✓' : '✗'} ${title} (${seconds} s)`);
const failed = outcomes.filter((outcome) => !outcome.passed).length;
console.log(`\nsteps: ${outcomes.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 && outcomes.length === steps.length ? 0 : 1;
