// `npm run audit-dependencies`: what can be known of the dependencies without an advisory service, then what the registry's service says, where it has one.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { audit, type AuditInput, type Manifest } from './audit-rules.ts';

const repository = resolve(import.meta.dirname, '../..');
const json = (path: string): unknown => JSON.parse(readFileSync(join(repository, path), 'utf8'));
const manifests = ['package.json', ...globSync(['apps/*/package.json', 'libs/*/package.json', 'tools/package.json'], { cwd: repository })];

const lock = json('package-lock.json') as AuditInput['lock'];
const problems = audit({ lock, manifests: Object.fromEntries(manifests.map((path) => [path, json(path) as Manifest])) });
for (const problem of problems) console.error(`✗ ${problem}`);
console.log(problems.length === 0 ? `${Object.keys(lock.packages).length} locked packages: hashes, pins, sources, install scripts, licences and versions are as they must be` : `${problems.length} problems with dependencies`);

const deadlineMs = 60_000;
const asked = spawnSync('npm', ['audit', '--json', '--audit-level=high'], { cwd: repository, encoding: 'utf8', timeout: deadlineMs, maxBuffer: 64 * 1024 * 1024 });
const known = vulnerabilities(asked.stdout);
if (known === undefined) console.log('advisories: NOT CHECKED. The registry of this machine offers no advisory service; run this where npm audit works before a release.');
else console.log(`advisories: ${known.low} low, ${known.moderate} moderate, ${known.high} high, ${known.critical} critical${known.high + known.critical > 0 ? ': see npm audit' : ''}`);
process.exitCode = problems.length > 0 || (known && known.high + known.critical > 0) ? 1 : 0;

interface Vulnerabilities {
  readonly low: number;
  readonly moderate: number;
  readonly high: number;
  readonly critical: number;
}

/** Undefined when npm got no answer, or none that is a report. */
function vulnerabilities(text: string): Vulnerabilities | undefined {
  try {
    return (JSON.parse(text) as { metadata?: { vulnerabilities?: Vulnerabilities } }).metadata?.vulnerabilities;
  } catch {
    return undefined;
  }
}
