import { createHash } from 'node:crypto';
import type { CitadelReport, ProxyReport, SilentIssuance } from './facts.ts';

/** A report of a proxy and the citadel that wrote it. */
export interface WrittenProxyReport extends ProxyReport {
  readonly by: string;
}

/** What the keys of a report store hold. */
export interface Reports {
  readonly proxies: ReadonlyMap<string, WrittenProxyReport>;
  readonly silent: ReadonlyMap<string, readonly SilentIssuance[]>;
  readonly citadels: ReadonlyMap<string, CitadelReport>;
  /** Keys whose text cannot be read. */
  readonly damaged: readonly string[];
}

export function proxyKey(by: string, report: Pick<ProxyReport, 'spiffeId' | 'name' | 'run'>): string {
  return `proxy/${by}/${createHash('sha256').update(JSON.stringify([report.spiffeId, report.name, report.run])).digest('hex').slice(0, 32)}`;
}

export function silentKey(by: string): string {
  return `silent/${by}`;
}

export function citadelKey(id: string): string {
  return `citadel/${id}`;
}

export function readReports(texts: ReadonlyMap<string, string>): Reports {
  const proxies = new Map<string, WrittenProxyReport>();
  const silent = new Map<string, readonly SilentIssuance[]>();
  const citadels = new Map<string, CitadelReport>();
  const damaged: string[] = [];
  for (const [key, text] of texts) {
    const [kind, by = ''] = key.split('/');
    const value = parse(text);
    if (kind === 'proxy' && isProxyReport(value)) proxies.set(key, { ...value, by });
    else if (kind === 'silent' && Array.isArray(value) && value.every(isSilentIssuance)) silent.set(key, value);
    else if (kind === 'citadel' && isCitadelReport(value)) citadels.set(key, value);
    else damaged.push(key);
  }
  return { proxies, silent, citadels, damaged };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

type Fields = { readonly [key: string]: unknown };

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}

function isProxyReport(value: unknown): value is ProxyReport {
  return isFields(value) && ['spiffeId', 'name', 'run', 'address', 'certificateRoot', 'serial', 'problem'].every((name) => typeof value[name] === 'string')
    && typeof value['certificateNotAfter'] === 'number' && typeof value['heardAt'] === 'number' && typeof value['since'] === 'number' && typeof value['connected'] === 'boolean' && isTexts(value['trustedRoots']);
}

function isSilentIssuance(value: unknown): value is SilentIssuance {
  return isFields(value) && typeof value['certificateRoot'] === 'string' && isTexts(value['trustedRoots']) && typeof value['latestNotAfter'] === 'number' && typeof value['count'] === 'number';
}

function isCitadelReport(value: unknown): value is CitadelReport {
  return isFields(value) && typeof value['id'] === 'string' && typeof value['signingRoot'] === 'string' && isTexts(value['trustedRoots']) && typeof value['heardAt'] === 'number';
}
