import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { formatFieldErrors, mathRandom, systemClock } from '@meltemi/base';
import { KeptAuthority, openCertificateService, PluggedAuthority, type CertificateService, type TokenCallers } from '@meltemi/citadel';
import { claimSocket, declareCitadelStats, readCaFiles, SocketUnusable, startCitadelServer } from '@meltemi/citadel-edge';
import { formatAddress, runProgram, StartError } from '@meltemi/observe-edge';
import { openKeystore, type OpenedKeystore } from './open-keystore.ts';
import { checkOptions, options, type CitadelOptions } from './options.ts';
import { tokenCallers } from './token-callers.ts';

/** How often a plugged-in authority is read again. */
const reloadMs = 10_000;
/** How often is looked for what other citadels changed. */
const sharedReloadMs = 1000;

await runProgram({
  name: 'meltemi-citadel',
  description: 'Issues certificates to the workloads of the mesh: root, issuing CA, join tokens.',
  adminListen: '127.0.0.1:15023',
  options,
  start: async ({ options: values, log, stats, lifecycle }) => {
    checkOptions(values);
    const stateDir = resolve(values['state-dir']);
    const socketPath = values.socket === undefined ? join(stateDir, 'citadel.sock') : resolve(values.socket);
    await claimSocket(socketPath).catch((cause: unknown) => {
      throw cause instanceof SocketUnusable ? new StartError(cause.message, { cause }) : cause;
    });
    const leader = declareCitadelStats(stats).leader;
    const kept = await openKeystore(values, stateDir, (leads, reason) => {
      leader.set(leads ? 1 : 0);
      log.info({ audit: true, leads, reason }, leads ? 'this citadel changes the authority from now on' : 'this citadel changes the authority no more');
    });
    lifecycle.add('keystore', () => kept.stop());
    const service = await openAuthority(values, kept, await tokenCallers(values, { log, stats, lifecycle }));
    const listen = formatAddress(values.listen);
    const server = await startCitadelServer({ service, listen, socketPath, log, stats, clock: systemClock, random: mathRandom, ratePerClient: { perSecond: values['max-requests-per-client'], burst: 5 * values['max-requests-per-client'] }, ...maintenance(values, kept) });
    lifecycle.add('certificate service', () => server.stop(1000));
    log.info({ socketPath, stateDir, rootNotAfter: new Date(service.rootNotAfter()).toISOString() }, 'authority open');
    return { ports: { grpc: server.port }, drain: (deadlineMs) => server.stop(deadlineMs) };
  },
});

function maintenance({ cacerts }: CitadelOptions, { shared }: OpenedKeystore): { readonly maintenanceMs?: number } {
  if (shared) return { maintenanceMs: sharedReloadMs };
  return cacerts === undefined ? {} : { maintenanceMs: reloadMs };
}

async function openAuthority(values: CitadelOptions, { keystore, leadership, name }: OpenedKeystore, callers: readonly TokenCallers[]): Promise<CertificateService> {
  const trustDomain = values['trust-domain'];
  const entropy = { bytes: (count: number) => randomBytes(count) };
  const { cacerts } = values;
  const authority = cacerts === undefined
    ? new KeptAuthority({ trustDomain, keystore, leadership, entropy, keyAlgorithm: values['ca-key-algorithm'] })
    : new PluggedAuthority({ trustDomain, read: () => readCaFiles(resolve(cacerts)), issuers: keystore, entropy });
  const opened = await openCertificateService({
    trustDomain, authority, keystore, entropy, clock: systemClock, defaultLifetimeMs: values['workload-cert-ttl'], maxLifetimeMs: values['max-workload-cert-ttl'],
    tokenCallers: callers, registrationAuthorities: values['registration-authorities'],
  }).catch((cause: unknown) => {
    throw new StartError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  });
  if (opened.ok) return opened.value;
  const reason = formatFieldErrors(opened.error);
  throw new StartError(cacerts === undefined
    ? `${name}: the authority in it is damaged: ${reason}. Restore it from a backup; it is never replaced by itself`
    : `--cacerts ${cacerts}: ${reason}`);
}
