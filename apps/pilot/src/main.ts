import { hostname } from 'node:os';
import { ServerCredentials, type ServerInterceptor } from '@grpc/grpc-js';
import { systemClock, withDeadline } from '@meltemi/base';
import { keyText } from '@meltemi/config';
import { controlPlaneId } from '@meltemi/identity';
import { connectionBounds, joinTokenFile, rootFile, serverCredentials, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';
import { explainListenError, formatAddress, meltemiVersion, runProgram, StartError, type Address } from '@meltemi/observe-edge';
import { featuresFrom, gatewayNames, givenAddresses, translate, wantedKeys, type PushContext } from '@meltemi/pilot';
import { AutoRegistration, BlockedAddresses, certifiedCaller, ConfigCache, configService, debugRoutes, Discovery, httpKeyServer, JwksKeeper, NameKeeper, peerService, PilotDirectory, pilotStats, socketOwner, statusService, systemNames, withRegistered, type CacheChange, type ConfigApiParts } from '@meltemi/pilot-edge';
import { defaultAdsLimits, startAdsServer, type AdsListener } from '@meltemi/xds-edge';
import { openAudit, readAccess } from './access.ts';
import { admissionTests } from './admission-tests.ts';
import { authorizeProxy, plaintextListener, secureListener } from './authorize.ts';
import { apiCallLimits, bindSecure, bindSocket, configServer } from './config-servers.ts';
import { MeshConfigReader } from './mesh-config.ts';
import { openStore } from './open-store.ts';
import { checkOptions, options } from './options.ts';
import { advertised, openPeerDoor, peerDialer, peerListen, pilotId } from './peers.ts';
import { openSources } from './sources.ts';

/** How long a start waits for the keys of issuers, lest good tokens are refused meanwhile. */
const firstKeysMs = 5_000;

await runProgram({
  name: 'meltemi-pilot',
  description: 'Reads configuration and services, and tells proxies over Envoy xDS v3 what to do.',
  adminListen: '127.0.0.1:15014',
  options,
  // In the order of a config's life (apps/docs/life-of-a-config.md): sources and store, cache, discovery, xDS server, config API.
  start: async ({ options: values, log, stats, admin, readiness, lifecycle }) => {
    checkOptions(values);
    const counters = pilotStats(stats);
    const features = featuresFrom(process.env);
    const { store, name: storeName, ...leased } = await openStore(values, { log, graceMs: features.workloadEntryGrace });
    lifecycle.add('config store', () => store.close());

    const changeListeners = new Set<(changes: readonly CacheChange[]) => void>();
    const cache = new ConfigCache({
      store, storeName, sources: openSources(values), log, clock: systemClock,
      // Whoever runs us starts us again; a pilot that hears of no change is worse than none.
      onFailure: (cause) => setImmediate(() => { throw cause; }),
      onChange: (changes) => {
        for (const { type, entry } of changes) counters.events.labels(entry.key.kind, type).inc();
        if (changes.some(({ entry }) => entry.key.kind === 'RequestAuthentication')) jwks.want(wantedKeys(cache.configs(), features));
        if (changes.some(({ entry }) => ['MeshNetworks', 'ConfigMap', 'Service'].includes(entry.key.kind))) names.want(gatewayNames([...cache.configs()]));
        if (changes.some(({ entry }) => entry.key.kind === 'WorkloadGroup')) registration.groupsChanged();
        // the start reads everything itself
        if (started) discovery.changed(changes.length === 1 && changes[0] ? `${changes[0].entry.key.kind} ${changes[0].entry.key.namespace}/${changes[0].entry.key.name}` : `${changes.length} objects`, changes.map(({ entry }) => keyText(entry.key)));
        for (const listener of changeListeners) listener(changes);
      },
      onRefusedElsewhere: (objects) => { if (started) discovery.changed('refused by a proxy of another pilot', objects); },
    });
    let started = false;
    const blocked = BlockedAddresses.and(process.env['BLOCKED_CIDRS_IN_JWKS_URIS'] ?? '');
    if (!blocked.ok) throw new StartError(`BLOCKED_CIDRS_IN_JWKS_URIS: ${blocked.error}`, { exitCode: 2 });
    const keyServer = httpKeyServer(blocked.value);
    const jwks = new JwksKeeper({ server: keyServer, clock: systemClock, log, stats: { fetched: counters.keysFetched, failed: counters.keysFailed }, onChange: () => { if (started) discovery.changed('keys of issuers'); } });
    lifecycle.add('keys of issuers', () => {
      jwks.stop();
      return keyServer.close();
    });
    const names = new NameKeeper({ resolve: systemNames, clock: systemClock, log, onChange: () => { if (started) discovery.changed('addresses of network gateways'); } });
    lifecycle.add('names of network gateways', () => names.stop());
    const registration = new AutoRegistration({ configs: () => cache.configs(), clock: systemClock, log, onChange: (reason, objects) => { if (started) discovery.changed(reason, objects); }, graceMs: features.workloadEntryGrace, values: leased.registered });
    lifecycle.add('registered workloads', () => registration.stop());
    const meshConfig = new MeshConfigReader();
    let anchors: readonly string[] = [];
    let services: PushContext['registry']['services'] = [];
    const discovery = new Discovery({
      configs: () => withRegistered(cache.configs(), registration.entries), registration, mesh: () => meshConfig.read(cache.configs()), translate, authorize: authorizeProxy(values['trust-domain']),
      clock: systemClock, log, stats: counters, clusterId: values['cluster-id'], domain: values.domain, features, keySets: () => jwks.keySets, trustAnchors: () => anchors, gatewayAddresses: () => names.addresses,
      memory: cache, onContext: ({ push, setAside }) => {
        if (features.ipAutoallocate && push.registry.services !== services) cache.keepAddresses(givenAddresses(push.registry));
        services = push.registry.services;
        counters.quarantined.set(setAside.length + cache.quarantinedCount);
      },
      debounceQuietMs: values['debounce-after'], debounceMaxMs: values['debounce-max'], reconnectGraceMs: values['reconnect-grace'],
    });
    lifecycle.add('discovery', () => discovery.stop());
    const loaded = readiness.waitFor(`configuration from ${storeName} and the config directories`);
    lifecycle.add('config cache', () => cache.stop());

    const agent = values['citadel-address'] === undefined ? undefined : startAgent(values['citadel-address']);
    const limited = (door: string) => (reason: string, client: string): void => {
      counters.limited.labels(door, reason).inc();
      log.debug({ client, door, reason }, 'a client that has enough already is refused');
    };
    const ads = await startAds(agent);
    const node = values['pilot-name'] ?? hostname();
    const pilots = leased.pilots && new PilotDirectory({ values: leased.pilots, clock: systemClock, log, id: pilotId(values), dial: peerDialer(agent), graceMs: values['reconnect-grace'] });
    if (pilots) {
      lifecycle.add('known pilots', () => pilots.stop());
      pilots.start();
    }
    const parts = { cache, registered: () => registration.entries, discovery, clock: systemClock, version: meltemiVersion, node, pilots };
    for (const route of debugRoutes(parts)) admin?.route(route);
    const policy = await readAccess(values, { log, lifecycle });
    const audit = openAudit(values, log, ({ verb, outcome }) => counters.changes.labels(verb, outcome).inc());
    const expectations = admissionTests(values);
    const apiFor = (identify: ConfigApiParts['identify'], interceptors: readonly ServerInterceptor[] = []) => {
      const api = configService({ store, cache, discovery, clock: systemClock, log, expectations, identify, policy, audit, pilots, node, registered: parts.registered, onChange: (listener) => (changeListeners.add(listener), () => changeListeners.delete(listener)) });
      const server = configServer(api, statusService(parts, { identify, policy }), interceptors);
      lifecycle.add('config API', () => server.forceShutdown());
      return server;
    };

    // Proxies wait on their streams until everything is read once; pilot itself is up, and says what it waits for.
    const loading = Promise.all([cache.start(), withDeadline(registration.start(), firstKeysMs, 'reading registered workloads').catch(() => undefined)]).then(() => jwks.tried(firstKeysMs)).then(() => {
      started = true;
      discovery.start();
      loaded();
    });
    loading.catch((cause: unknown) => setImmediate(() => { throw cause; }));
    if (values['config-socket'] !== undefined) await bindSocket(apiFor(() => socketOwner), values['config-socket']);
    const configPort = values['config-listen'] && agent ? await listening('config-listen', values['config-listen'], bindSecure(apiFor(certifiedCaller(values['trust-domain']), [apiCallLimits(limited('config'))]), { address: values['config-listen'], agent, onLimited: limited('config') })) : undefined;
    const peerPort = pilots && await openToOthers(pilots, agent);
    return { ports: { ...ads, ...(peerPort === undefined ? {} : { peer: peerPort }), ...(configPort === undefined ? {} : { config: configPort }) } };

    async function openToOthers(directory: PilotDirectory, identity: IdentityAgent | undefined): Promise<number | undefined> {
      const address = peerListen(values);
      const door = identity && await listening('peer-listen', address, openPeerDoor(peerService(parts), { agent: identity, trustDomain: values['trust-domain'], address, onLimited: limited('peers') }));
      if (door) lifecycle.add('other pilots', () => door.server.forceShutdown());
      const record = { pilot: node, address: door ? advertised(values, { host: address.host, port: door.port }) : '', version: meltemiVersion };
      // As soon as proxies can come: until everything is read, it tells others that it lags.
      directory.announce(record);
      return door?.port;
    }

    function startAgent(citadelAddress: string): IdentityAgent {
      const tokenFile = values['join-token-file'];
      const rootCertFile = values['root-cert-file'];
      const identity = startIdentityAgent({
        citadelAddress, identity: controlPlaneId(values['trust-domain'], 'pilot'), stateDir: values['state-dir'], log,
        ...(tokenFile === undefined ? {} : { joinToken: joinTokenFile(tokenFile) }),
        ...(rootCertFile === undefined ? {} : { roots: rootFile(rootCertFile) }),
      });
      lifecycle.add('identity agent', () => identity.leave());
      identity.subscribe(({ trust }) => {
        const roots = trust.roots.map(({ pem }) => pem);
        if (roots.join('') === anchors.join('')) return;
        anchors = roots;
        if (started) discovery.changed('roots of the mesh');
      });
      identity.subscribe(readiness.waitFor(`certificate from citadel at ${citadelAddress}`, () => identity.lastFailure()));
      return identity;
    }

    async function startAds(identity: IdentityAgent | undefined): Promise<Record<string, number>> {
      const plain = values['plaintext-listen'];
      const listeners: AdsListener[] = [
        ...(identity ? [{ name: secureListener, address: formatAddress(values.listen), credentials: serverCredentials(identity) }] : []),
        ...(plain ? [{ name: plaintextListener, address: formatAddress(plain), credentials: ServerCredentials.createInsecure() }] : []),
      ];
      const server = await listening('listen', values.listen, startAdsServer({ listeners, identifier: `meltemi-pilot ${meltemiVersion}`, onConnect: (hello, connection) => discovery.connect(hello, connection), onLimited: limited('xds'), log, limits: { maxStreams: Math.max(defaultAdsLimits.maxStreams, values['max-connections']), maxStreamsPerClient: values['max-streams-per-client'], connections: { ...defaultAdsLimits.connections, ...connectionBounds(values) } } }));
      lifecycle.add('xDS server', () => server.stop());
      return Object.fromEntries([...server.addresses].map(([name, bound]) => [name, Number(bound.slice(bound.lastIndexOf(':') + 1))]));
    }
  },
});

/** Makes a busy port say which flag it belongs to. */
async function listening<T>(flag: string, address: Address, bound: Promise<T>): Promise<T> {
  try {
    return await bound;
  } catch (cause) {
    throw explainListenError(cause, { flag, address });
  }
}
