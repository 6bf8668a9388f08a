import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { formatFieldErrors, mathRandom, systemClock } from '@meltemi/base';
import { openCertificateService, Roster, type CertificateService, type TokenCallers } from '@meltemi/citadel';
import { claimSocket, declareCitadelStats, startCitadelServer, withAuditFile, type CitadelLog } from '@meltemi/citadel-edge';
import { connectionBounds } from '@meltemi/identity-edge';
import { formatAddress, runProgram, StartError } from '@meltemi/observe-edge';
import { federated, follow, maxMeshConfigBytes, openFederation, startBundleServer } from './federation.ts';
import { followFiles } from './followed-files.ts';
import { chooseAuthority, type ChosenAuthority } from './open-authority.ts';
import { openKeystore, type OpenedKeystore } from './open-keystore.ts';
import { checkOptions, options, type CitadelOptions } from './options.ts';
import { maxIssuersFileBytes, tokenCallers } from './token-callers.ts';

/** How often the roots of an authority elsewhere are read again; files that are plugged in are with each look at the change of the root, every few seconds. */
const upstreamReloadMs = 10_000;
/** How often is looked for what other citadels changed. */
const sharedReloadMs = 1000;
const entropy = { bytes: (count: number) => randomBytes(count) };

await runProgram({
  name: 'meltemi-citadel',
  description: 'Issues certificates to the workloads of the mesh: root, issuing CA, join tokens.',
  adminListen: '127.0.0.1:15023',
  options,
  start: async ({ options: values, log, stats, lifecycle, readiness }) => {
    checkOptions(values);
    const stateDir = resolve(values['state-dir']);
    const socketPath = values.socket === undefined ? join(stateDir, 'citadel.sock') : resolve(values.socket);
    await claimSocket(socketPath);
    const audited = values['audit-log'] === undefined ? log : withAuditFile(log, resolve(values['audit-log']), () => systemClock.now());
    const leader = declareCitadelStats(stats).leader;
    const kept = await openKeystore(values, stateDir, (leads, reason) => {
      leader.set(leads ? 1 : 0);
      audited.info({ audit: true, leads, reason }, leads ? 'this citadel changes the authority from now on' : 'this citadel changes the authority no more');
    });
    lifecycle.add('keystore', () => kept.stop());
    const roster = new Roster({ id: randomBytes(8).toString('hex'), store: kept.reports, clock: systemClock, onFailure: (reason) => log.error({ reason }, 'who follows the roots could not be written down') });
    const chosen = chooseAuthority(values, kept, { roster, entropy });
    lifecycle.add('authority', () => chosen.stop());
    const federation = await openFederation(values, { stateDir, log });
    const { callers, issuersFile } = await tokenCallers(values, { log, stats, lifecycle });
    const service = await openAuthority(values, kept, { ...federated(chosen, federation), callers, log: audited });
    if (federation) await follow(federation, { service, log, lifecycle });
    const problems = followFiles([
      ...(federation ? [{ flag: 'mesh-config', path: federation.file, text: federation.text, maxBytes: maxMeshConfigBytes, take: federation.take }] : []),
      ...(issuersFile ? [{ flag: 'oidc-issuers', maxBytes: maxIssuersFileBytes, ...issuersFile }] : []),
    ], { log: audited, stats, lifecycle, readiness });
    const listen = formatAddress(values.listen);
    const server = await startCitadelServer({ service, listen, socketPath, log: audited, stats, clock: systemClock, random: mathRandom, roster, problems, ...(chosen.rotation && { rotation: chosen.rotation }), ratePerClient: { perSecond: values['max-requests-per-client'], burst: 5 * values['max-requests-per-client'] }, connections: connectionBounds(values), ...maintenance(values, kept) });
    lifecycle.add('certificate service', () => server.stop(1000));
    const bundlePort = await startBundleServer(values, { service, log, lifecycle });
    log.info({ socketPath, stateDir, rootNotAfter: new Date(service.rootNotAfter()).toISOString() }, 'authority open');
    return { ports: { grpc: server.port, ...(bundlePort !== undefined && { bundle: bundlePort }) }, drain: (deadlineMs) => server.stop(deadlineMs) };
  },
});

function maintenance({ 'upstream-ca-address': upstream }: CitadelOptions, { shared }: OpenedKeystore): { readonly maintenanceMs?: number } {
  if (shared) return { maintenanceMs: sharedReloadMs };
  return upstream === undefined ? {} : { maintenanceMs: upstreamReloadMs };
}

async function openAuthority(values: CitadelOptions, { keystore, name }: OpenedKeystore, { authority, problem, callers, log }: ChosenAuthority & { readonly callers: readonly TokenCallers[]; readonly log: CitadelLog }): Promise<CertificateService> {
  const opened = await openCertificateService({
    trustDomain: values['trust-domain'], authority, keystore, entropy, clock: systemClock, defaultLifetimeMs: values['workload-cert-ttl'], maxLifetimeMs: values['max-workload-cert-ttl'],
    tokenCallers: callers, registrationAuthorities: values['registration-authorities'], onProblem: (reason) => log.warn({ audit: true, reason }, 'what was issued'),
  }).catch((cause: unknown) => {
    throw new StartError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  });
  if (opened.ok) return opened.value;
  throw new StartError(problem(formatFieldErrors(opened.error)));
}
