import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { formatFieldErrors, mathRandom, systemClock, type Lifecycle } from '@meltemi/base';
import type { CertificateService } from '@meltemi/citadel';
import { OwnCertificate, readBounded, type CitadelLog } from '@meltemi/citadel-edge';
import { diskFederationStore, FederatedAuthority, Federation, federationProblem, getBundle, serveBundle, type BundleEndpoint, type FederatedDomain } from '@meltemi/citadel-edge/federation';
import { decode, meshConfigAmong, parseYamlDocuments, type MeshConfigSpec } from '@meltemi/config';
import { isTrustDomain, trustDomainOf } from '@meltemi/identity';
import { explainListenError, StartError } from '@meltemi/observe-edge';
import type { ChosenAuthority } from './open-authority.ts';
import type { CitadelOptions } from './options.ts';

export const maxMeshConfigBytes = 1 << 20;

export interface FederationSetup {
  readonly federation: Federation;
  /** Former names of our own trust domain: believed through our own roots. The same list while nothing changes. */
  aliases: readonly string[];
  /** Of --mesh-config, and the text that is in force. */
  readonly file: string;
  readonly text: string;
  /** Puts another text in force; rejects with the reason, having changed nothing, when it cannot be. */
  readonly take: (text: string) => Promise<void>;
}

/** What the flags say of other trust domains; undefined: nothing. Throws StartError for what cannot work. */
export async function openFederation(values: CitadelOptions, { stateDir, log }: { readonly stateDir: string; readonly log: CitadelLog }): Promise<FederationSetup | undefined> {
  const file = values['mesh-config'];
  if (file === undefined) {
    if (values['bundle-endpoint-ids'].length > 0) throw new StartError('--bundle-endpoint-ids: has no effect without --mesh-config, whose caCertificates name endpoints', { exitCode: 2 });
    return undefined;
  }
  const text = await readBounded(resolve(file), maxMeshConfigBytes);
  if (text === undefined) throw new StartError(`--mesh-config: ${file} is missing`);
  const { domains, aliases } = await federationOf(text, values, log);
  const federation = new Federation({ domains, get: getBundle, store: diskFederationStore(stateDir), log });
  const setup: FederationSetup = {
    federation, aliases, file: resolve(file), text,
    take: async (changed) => {
      const next = await federationOf(changed, values, log);
      setup.aliases = next.aliases;
      federation.update(next.domains);
    },
  };
  return setup;
}

/** Throws StartError for a text that cannot be used. */
async function federationOf(text: string, values: CitadelOptions, log: CitadelLog): Promise<{ readonly domains: readonly FederatedDomain[]; readonly aliases: readonly string[] }> {
  const file = values['mesh-config'] ?? '';
  const mesh = parseMeshConfig(text, file);
  const domains = await federatedDomains(mesh, values, log);
  const problem = federationProblem(values['trust-domain'], domains);
  if (problem !== undefined) throw new StartError(`--mesh-config ${file}: caCertificates: ${problem}`);
  return { domains, aliases: mesh.trustDomainAliases.filter((alias) => isTrustDomain(alias) && alias !== values['trust-domain'] && !domains.some(({ trustDomain }) => trustDomain === alias)) };
}

/** The chosen authority with the roots of other trust domains beside its own. */
export function federated(chosen: ChosenAuthority, setup: FederationSetup | undefined): ChosenAuthority {
  return setup ? { ...chosen, authority: new FederatedAuthority(chosen.authority, { federated: () => setup.federation.current(), aliases: () => setup.aliases }) } : chosen;
}

/** Begins to ask for roots, and puts them in force as they come. */
export async function follow({ federation }: FederationSetup, { service, log, lifecycle }: { readonly service: CertificateService; readonly log: CitadelLog; readonly lifecycle: Lifecycle }): Promise<void> {
  lifecycle.add('federation', () => federation.stop());
  const refresh = async (): Promise<void> => {
    const refreshed = await service.refresh();
    if (!refreshed.ok) log.error({ reason: formatFieldErrors(refreshed.error) }, 'roots of federated trust domains are not in force');
  };
  await federation.start(() => void refresh().catch((cause: unknown) => log.error({ reason: String(cause) }, 'roots of federated trust domains are not in force')));
}

function parseMeshConfig(text: string, file: string): MeshConfigSpec {
  const decoded = parseYamlDocuments(text, file).documents.map((document) => {
    const read = document.raw ? decode(document.raw) : { ok: false as const, error: document.errors };
    if (!read.ok) throw new StartError(`--mesh-config ${file}: ${formatFieldErrors(read.error)}`);
    return read.value.config;
  });
  const found = meshConfigAmong(decoded);
  if (!found) throw new StartError(`--mesh-config ${file}: there is no MeshConfig in it`);
  return found.spec;
}

async function federatedDomains(mesh: MeshConfigSpec, values: CitadelOptions, log: CitadelLog): Promise<FederatedDomain[]> {
  const own = values['trust-domain'];
  const caPem = values['bundle-endpoint-ca'] === undefined ? undefined : await readFile(resolve(values['bundle-endpoint-ca']), 'utf8');
  const ids = new Map(values['bundle-endpoint-ids'].map((id) => [trustDomainOf(id) ?? usage(`--bundle-endpoint-ids: ${id} is not a SPIFFE id`), id]));
  const domains = new Map<string, { rootsPem: string[]; url?: string }>();
  for (const [index, { pem, spiffeBundleUrl, certSigners, trustDomains }] of mesh.caCertificates.entries()) {
    const ignored = (reason: string): void => log.warn({ field: `caCertificates[${index}]`, reason }, 'setting not acted on');
    if (certSigners.length > 0) ignored('certSigners has no effect: certificates come from citadel');
    if (trustDomains.length === 0) ignored('has no trustDomains: a root that vouches for every trust domain is not taken');
    for (const name of trustDomains) {
      if (name === own) ignored(`${own} is our own trust domain: its roots come from --cacerts or are citadel's own`);
      else if (!isTrustDomain(name)) throw new StartError(`--mesh-config: caCertificates[${index}].trustDomains: ${JSON.stringify(name)} is not a trust domain`);
      else {
        const domain = domains.get(name) ?? { rootsPem: [] };
        if (pem !== undefined) domain.rootsPem.push(pem);
        if (spiffeBundleUrl !== undefined) domain.url = httpsUrl(spiffeBundleUrl, `caCertificates[${index}].spiffeBundleUrl`);
        domains.set(name, domain);
      }
    }
  }
  for (const [domain, id] of ids) if (domains.get(domain)?.url === undefined) throw usageError(`--bundle-endpoint-ids: ${id}: caCertificates names no spiffeBundleUrl for trust domain ${domain}`);
  return [...domains].map(([trustDomain, { rootsPem, url }]) => {
    const spiffeId = ids.get(trustDomain);
    if (spiffeId !== undefined && rootsPem.length === 0) throw usageError(`--bundle-endpoint-ids: ${spiffeId}: its first roots are needed: give them in caCertificates as pem for trust domain ${trustDomain}`);
    const profile: BundleEndpoint['profile'] = spiffeId === undefined ? { kind: 'https_web', ...(caPem !== undefined && { caPem }) } : { kind: 'https_spiffe', spiffeId };
    return { trustDomain, rootsPem, ...(url !== undefined && { endpoint: { url, profile } }) };
  });
}

function httpsUrl(text: string, field: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') throw new StartError(`--mesh-config: ${field}: ${JSON.stringify(text.slice(0, 200))} must be an https URL without user and password`);
  return url.href;
}

/** Serves our own bundle document, when the flags ask for it; resolves with the bound port. */
export async function startBundleServer(values: CitadelOptions, { service, log, lifecycle }: { readonly service: CertificateService; readonly log: CitadelLog; readonly lifecycle: Lifecycle }): Promise<number | undefined> {
  const address = values['bundle-listen'];
  const { 'bundle-certificate': cert, 'bundle-key': key } = values;
  if ((cert === undefined) !== (key === undefined)) throw usageError('--bundle-certificate and --bundle-key: give both or none');
  if (address === undefined) {
    if (cert !== undefined) throw usageError('--bundle-certificate: has no effect without --bundle-listen');
    return undefined;
  }
  const own = cert === undefined ? await OwnCertificate.start({ service, clock: systemClock, random: mathRandom, lifetimeMs: undefined, onFailure: (reason) => log.error({ reason }, 'the certificate of the bundle endpoint was not renewed') }) : undefined;
  let issuing = service.issuingSerial();
  const trust = () => {
    // Another issuing CA signs: soon nobody may know the old one.
    if (issuing !== service.issuingSerial()) own?.renew();
    issuing = service.issuingSerial();
    return service.trust();
  };
  const files = async () => ({ cert: await readFile(resolve(cert ?? ''), 'utf8'), key: await readFile(resolve(key ?? ''), 'utf8') });
  try {
    const server = await serveBundle({ host: address.host, port: address.port, trust, refreshHintSeconds: Math.max(1, Math.round(values['bundle-refresh-hint'] / 1000)), certificate: own ?? files, clock: systemClock, log });
    lifecycle.add('bundle endpoint', async () => {
      own?.stop();
      await server.stop();
    });
    return server.port;
  } catch (cause) {
    own?.stop();
    throw explainListenError(cause, { flag: 'bundle-listen', address });
  }
}

function usageError(message: string): StartError {
  return new StartError(message, { exitCode: 2 });
}

function usage(message: string): never {
  throw usageError(message);
}
