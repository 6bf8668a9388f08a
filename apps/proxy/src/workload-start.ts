import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { parseDurationMs } from '@meltemi/base';
import { parse } from 'yaml';
import { usage, type ProxyOptions } from './options.ts';

/** What a proxy starts with: its flags, and what a ProxyConfig or a folder of files says where they say nothing. */
export interface WorkloadStart {
  readonly values: ProxyOptions & { readonly concurrency: number; readonly 'trust-domain': string };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The ProxyConfig's terminationDrainDuration. */
  readonly drainTimeoutMs: number | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;
type Fields = Readonly<Record<string, unknown>>;

const defaultTrustDomain = 'cluster.local';
/** The most that --drain-time-s takes. */
const longestDrainTimeS = 86_400;

/**
 * Flags and environment, then --workload-dir (Istio's files for virtual machines: cluster.env, mesh.yaml, istio-token, root-cert.pem), then defaults. Of a ProxyConfig
 * (mesh.yaml's defaultConfig, or PROXY_CONFIG as Istio's injector sets it) concurrency, drainDuration, terminationDrainDuration and discoveryAddress are flags, and it goes to pilot as metadata.
 */
export function workloadStart(given: ProxyOptions, environment: Variables): WorkloadStart {
  const folder = given['workload-dir'];
  const fromFile = folder === undefined ? {} : cluster(folder);
  const own: Variables = { ...fromFile, ...environment };
  const config = proxyConfig(own, folder);
  const env: Variables = { ...own, ...(config === undefined ? {} : { ISTIO_METAJSON_PROXY_CONFIG: JSON.stringify(config) }), ...accountOf(own) };
  const drainMs = durationOf(config?.['drainDuration'], 'drainDuration');
  const drainTimeoutMs = durationOf(config?.['terminationDrainDuration'], 'terminationDrainDuration');
  const common = {
    ...given,
    concurrency: given.concurrency ?? wholeNumber(config?.['concurrency'], 'concurrency') ?? 1,
    'drain-time-s': given['drain-time-s'] ?? (drainMs === undefined ? undefined : Math.min(Math.ceil(drainMs / 1000), longestDrainTimeS)),
    'trust-domain': given['trust-domain'] ?? (folder === undefined ? undefined : env['TRUST_DOMAIN']) ?? defaultTrustDomain,
  };
  if (folder === undefined) return { values: common, env, drainTimeoutMs };
  const discovery = given['discovery-address'] ?? textOf(config?.['discoveryAddress']);
  return {
    values: {
      ...common,
      'service-node': given['service-node'] ?? nodeId(env),
      'discovery-address': discovery,
      'citadel-address': given['citadel-address'] ?? env['CA_ADDR'] ?? discovery,
      'join-token-file': given['join-token-file'] ?? join(folder, 'istio-token'),
      'root-cert-file': given['root-cert-file'] ?? join(folder, 'root-cert.pem'),
    },
    env,
    drainTimeoutMs,
  };
}

function cluster(folder: string): Variables {
  const file = join(folder, 'cluster.env');
  return Object.fromEntries(read(file).split('\n').flatMap((line, index) => {
    if (/^\s*(#|$)/.test(line)) return [];
    const [, name, quoted, bare] = /^\s*(?:export\s+)?([A-Za-z_]\w*)=(?:'((?:[^']|'\\'')*)'|(.*))$/.exec(line) ?? [];
    if (name === undefined) throw usage(`${file}, line ${index + 1}: must be NAME='value'`);
    return [[name, quoted?.replaceAll("'\\''", "'") ?? bare?.replace(/^"(.*)"$/, '$1') ?? '']];
  }));
}

/** Undefined: nobody wrote one. */
function proxyConfig(env: Variables, folder: string | undefined): Fields | undefined {
  const written = env['ISTIO_METAJSON_PROXY_CONFIG'] ?? env['PROXY_CONFIG'];
  const mesh = folder === undefined ? undefined : fields(fields(parsed(read(join(folder, 'mesh.yaml')), join(folder, 'mesh.yaml')))['defaultConfig']);
  if (written === undefined) return mesh;
  return { ...mesh, ...fields(parsed(written, 'PROXY_CONFIG')) };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw usage(`--workload-dir: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function parsed(text: string, name: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    throw usage(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** Istio's agent knows the account by another name than the metadata has. */
function accountOf(env: Variables): Variables {
  const account = env['SERVICE_ACCOUNT'];
  return account === undefined || env['ISTIO_META_SERVICE_ACCOUNT'] !== undefined ? {} : { ISTIO_META_SERVICE_ACCOUNT: account };
}

function nodeId(env: Variables): string {
  const namespace = env['POD_NAMESPACE'] ?? env['ISTIO_NAMESPACE'] ?? 'default';
  return `sidecar~${env['ISTIO_SVC_IP'] ?? firstAddress()}~${hostname()}.${namespace}~${namespace}.svc.cluster.local`;
}

/** As Istio's agent: the first one that is not the machine's own alone. */
function firstAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) for (const { address, internal, family } of addresses ?? []) if (!internal && family === 'IPv4') return address;
  return '127.0.0.1';
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function wholeNumber(value: unknown, name: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 256) return value;
  throw usage(`${name} of the ProxyConfig must be a whole number of 0 to 256`);
}

function durationOf(value: unknown, name: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const ms = parseDurationMs(typeof value === 'string' ? value : '');
  if (!ms.ok) throw usage(`${name} of the ProxyConfig must be a duration like 45s`);
  if (ms.value < 0) throw usage(`${name} of the ProxyConfig must not be negative`);
  return ms.value;
}
