import { durationReason } from '../../rules/durations.ts';
import type { Findings } from '../../rules/findings.ts';
import { checkLocalityLb, checkZoneAwareLb } from '../../rules/localities.ts';
import { item } from '../../schema/schema.ts';
import type { ConsistentHashLb, HttpCookie, LoadBalancerSettings, OutlierDetection, WarmupConfiguration } from './types.ts';

/** Envoy's own limit for a Maglev table. */
const maxMaglevTable = 5_000_011;

interface Check {
  readonly path: string;
  readonly findings: Findings;
  readonly outlier: OutlierDetection | undefined;
}

export function checkLoadBalancer(lb: LoadBalancerSettings | undefined, { path, findings, outlier }: Check): void {
  if (!lb) return;
  if (lb.simple === 'LEAST_CONN') findings.warn(`${path}.simple`, 'LEAST_CONN is deprecated: use LEAST_REQUEST');
  if (lb.consistentHash) checkHash(lb.consistentHash, `${path}.consistentHash`, findings);
  if (lb.localityLbSetting && lb.zoneAwareLbSetting) findings.error(`${path}.zoneAwareLbSetting`, 'cannot be set beside localityLbSetting');
  checkLocalityLb(lb.localityLbSetting, { path: `${path}.localityLbSetting`, findings, outlier });
  checkZoneAwareLb(lb.zoneAwareLbSetting, { path: `${path}.zoneAwareLbSetting`, findings, outlier });
  if (lb.warmup && lb.warmupDurationSecs !== undefined) findings.warn(`${path}.warmupDurationSecs`, 'has no effect beside warmup');
  if (lb.warmup) checkWarmup(lb.warmup, `${path}.warmup`, findings);
}

function checkHash(hash: ConsistentHashLb, path: string, findings: Findings): void {
  if (hash.httpCookie) checkCookie(hash.httpCookie, `${path}.httpCookie`, findings);
  if (hash.minimumRingSize !== 0) {
    findings.warn(`${path}.minimumRingSize`, 'is deprecated: use ringHash.minimumRingSize');
    if (hash.ringHash ?? hash.maglev) findings.error(`${path}.minimumRingSize`, 'cannot be set beside ringHash or maglev');
  }
  const size = hash.maglev?.tableSize;
  if (size === undefined) return;
  if (size >= maxMaglevTable) findings.error(`${path}.maglev.tableSize`, `must be less than ${maxMaglevTable}, found ${size}`);
  else if (!isPrime(size)) findings.error(`${path}.maglev.tableSize`, `must be a prime number, found ${size}`);
}

function checkCookie(cookie: HttpCookie, path: string, findings: Findings): void {
  if (cookie.name === '') findings.error(`${path}.name`, 'must not be empty');
  const names = new Set<string>();
  for (const [i, { name }] of cookie.attributes.entries()) {
    const at = `${item(`${path}.attributes`, i)}.name`;
    if (name === '') findings.error(at, 'must not be empty');
    if (names.has(name)) findings.error(at, `"${name}" repeats an earlier attribute`);
    names.add(name);
  }
}

function checkWarmup(warmup: WarmupConfiguration, path: string, findings: Findings): void {
  findings.check(`${path}.duration`, durationReason(warmup.duration));
  if (warmup.aggression !== undefined && warmup.aggression <= 0) findings.error(`${path}.aggression`, 'must be greater than 0');
}

// As Envoy counts: 1 is one.
function isPrime(n: number): boolean {
  if (n < 4) return n > 0;
  if (n % 2 === 0) return false;
  for (let factor = 3; factor * factor <= n; factor += 2) if (n % factor === 0) return false;
  return true;
}
