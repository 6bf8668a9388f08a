import { status } from '@grpc/grpc-js';
import type { AccessRequest, AccessResponse, DistributionRequest, DistributionResponse, PilotState, ProxyState, ProxyStatusRequest, ProxyStatusResponse, StatusServiceServer, TypeStatus as ApiTypeStatus } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { xdsType, type TypeStatus } from '@meltemi/xds';
import type { AccessPolicy, AccessVerb } from './access/access-policy.ts';
import type { ApiCaller, IdentifiedCall } from './access/api-caller.ts';
import { CallerAccess, refusalText } from './access/config-access.ts';
import { ApiError, unary } from './api-call.ts';
import type { ConfigCache } from './config-cache.ts';
import type { Discovery } from './discovery.ts';
import type { Client } from './discovery-types.ts';
import { distributionOf } from './distribution.ts';
import type { KnownObjects } from './registered-entries.ts';
import { askOthers, type Asked } from './peers/ask-others.ts';
import { mergeDistribution } from './peers/merge-distribution.ts';
import type { PilotDirectory } from './peers/pilot-directory.ts';

/** Types proxy-status always shows, in this order. */
const shownTypes = [xdsType.cluster, xdsType.listener, xdsType.endpoint, xdsType.route] as const;

const maxKeys = 1000;
const maxNamedProxies = 100;

export interface StatusApiParts extends KnownObjects {
  readonly cache: ConfigCache;
  readonly discovery: Discovery;
  readonly version: string;
  /** This pilot's name. */
  readonly node: string;
  /** The other pilots over the same store; left out: there are none. */
  readonly pilots?: PilotDirectory | undefined;
}

/** Who asks, and what they may know. As in ConfigApiParts. */
export interface StatusAccess {
  readonly identify: (call: IdentifiedCall) => ApiCaller;
  readonly policy: () => AccessPolicy;
}

/** What `meltemi proxy-status`, `version` and `auth` ask. */
export function statusService(parts: StatusApiParts, { identify, policy }: StatusAccess): StatusServiceServer {
  const access = (call: IdentifiedCall) => new CallerAccess(identify(call), policy);
  return {
    proxyStatus: unary(async (request: ProxyStatusRequest, call) => {
      access(call).mustOwn('list', 'proxies');
      return proxyStatus(parts, request);
    }),
    distribution: unary(async (request: DistributionRequest, call) => {
      const by = access(call);
      for (const key of request.keys.slice(0, maxKeys)) by.must('get', key);
      return distribution(parts, request);
    }),
    // To everybody with a certificate of the mesh: nothing of either is a secret.
    version: unary(async () => ({ version: parts.version, node: parts.node })),
    access: unary(async (request: AccessRequest, call) => accessReview(access(call), request)),
  };
}

const verbs: readonly AccessVerb[] = ['get', 'list', 'watch', 'create', 'update', 'delete'];

/** What a caller may do, told to that caller. */
function accessReview(by: CallerAccess, request: AccessRequest): AccessResponse {
  const caller = by.caller.name;
  if (request.verb === '') return { caller, allowed: false, reason: '' };
  const verb = verbs.find((each) => each === request.verb);
  if (!verb) throw new ApiError(status.INVALID_ARGUMENT, `"${request.verb}" is none of ${verbs.join(', ')}`);
  const key = { group: request.group, kind: request.kind, namespace: request.namespace, ...(request.name === '' ? {} : { name: request.name }) };
  const decision = by.decide(verb, key);
  return decision.allowed ? { caller, allowed: true, reason: decision.by } : { caller, allowed: false, reason: refusalText(by.caller, { verb, key, decision }) };
}

/** Which of the proxies of all pilots have these objects, refuse them or lag. */
export async function distribution(parts: StatusApiParts, request: DistributionRequest): Promise<DistributionResponse> {
  const [own, others] = await Promise.all([localDistribution(parts, request), askOthers(parts.pilots, (api) => api.distribution(request))]);
  const maxNamed = Math.min(request.maxNamed, maxNamedProxies);
  return {
    pilot: parts.node, pilots: pilotStates(parts, others),
    objects: own.objects.map((object, at) => mergeDistribution({ pilot: parts.node, object }, others.flatMap(({ pilot, answer }) => {
      const theirs = answer?.objects[at];
      return theirs ? [{ pilot: pilot.pilot, object: theirs }] : [];
    }), maxNamed)),
  };
}

/** The same of the proxies connected here. */
export async function localDistribution(parts: StatusApiParts, { keys, maxNamed }: DistributionRequest): Promise<DistributionResponse> {
  if (keys.length > maxKeys) throw new ApiError(status.INVALID_ARGUMENT, `${keys.length} objects in one request; the limit is ${maxKeys}`);
  return { pilot: parts.node, pilots: [], objects: await distributionOf(parts, keys, { maxNamed: Math.min(maxNamed, maxNamedProxies) }) };
}

/** The states of the proxies of all pilots, sorted by id. */
export async function proxyStatus(parts: StatusApiParts, request: ProxyStatusRequest): Promise<ProxyStatusResponse> {
  const others = await askOthers(parts.pilots, (api) => api.proxyStatus(request));
  const own = localProxyStatus(parts, request);
  return {
    proxies: [...own.proxies, ...others.flatMap(({ answer }) => answer?.proxies ?? [])].toSorted((a, b) => (a.proxyId < b.proxyId ? -1 : 1)),
    // Objects are the same everywhere, but pilots hear of a change one after the other.
    quarantinedObjects: Math.max(own.quarantinedObjects, ...others.map(({ answer }) => answer?.quarantinedObjects ?? 0)),
    sourceProblems: Math.max(own.sourceProblems, ...others.map(({ answer }) => answer?.sourceProblems ?? 0)),
    pilots: pilotStates(parts, others),
  };
}

function pilotStates({ node, version, pilots }: StatusApiParts, others: readonly Asked<unknown>[]): PilotState[] {
  return [{ pilot: node, address: pilots?.own.address ?? '', version, error: '' }, ...others.map(({ pilot, error }) => ({ pilot: pilot.pilot, address: pilot.address, version: pilot.version, error }))];
}

/** The states of the proxies connected here, sorted by id. */
export function localProxyStatus(parts: StatusApiParts, request: ProxyStatusRequest): ProxyStatusResponse {
  const proxies = parts.discovery.clients().filter((client) => request.proxyId === '' || client.proxy.name === request.proxyId).map((client) => proxyState(client, parts.node));
  return {
    proxies: proxies.sort((a, b) => (a.proxyId < b.proxyId ? -1 : 1)),
    quarantinedObjects: parts.cache.quarantinedCount + parts.discovery.setAside.length,
    sourceProblems: parts.cache.problems().length,
    pilots: [],
  };
}

function proxyState(client: Client, pilot: string): ProxyState {
  const types = new Map(client.connection.status().map((type) => [type.typeUrl, type]));
  const urls = [...new Set<string>([...shownTypes, ...types.keys()])];
  return {
    proxyId: client.proxy.name,
    clusterId: client.proxy.clusterId,
    pilot,
    version: client.agentVersion,
    protocol: client.connection.hello.protocol,
    types: urls.map((typeUrl) => typeState(typeUrl, types.get(typeUrl))),
    connectedAt: new Date(client.connectedAtMs).toISOString(),
    address: client.connection.hello.peer.address,
  };
}

function typeState(typeUrl: string, type: TypeStatus | undefined): ApiTypeStatus {
  if (!type) return { typeUrl, state: 'NOT SENT', sentVersion: '', ackedVersion: '', error: '' };
  return { typeUrl, state: type.lastNack ? 'ERROR' : type.state, sentVersion: type.sentVersion, ackedVersion: type.ackedVersion, error: type.lastNack?.message ?? '' };
}
