import { gatewayApiGroup, type GatewayListenerSpec, type RouteGroupKind, type RouteNamespaces, type Server } from '@meltemi/config';
import { condition, sortedConditions, type Condition } from './conditions.ts';
import { listenerTls, type ListenerOwner } from './listener-tls.ts';
import type { Lookups } from './lookups.ts';
import type { Problem } from './problem.ts';

/** A listener as a server, and what its status says. */
export interface BuiltListener {
  readonly listener: GatewayListenerSpec;
  /** Absent: nothing is served and no route can be bound. */
  readonly server?: Server;
  /** False: routes may bind, but nothing is served. */
  readonly valid: boolean;
  readonly supportedKinds: readonly RouteGroupKind[];
  readonly conditions: readonly Condition[];
}

const fine = {
  accepted: { type: 'Accepted', reason: 'Accepted', message: 'No errors found' },
  conflicted: { type: 'Conflicted', reason: 'NoConflicts', message: 'No errors found', good: 'False' },
  programmed: { type: 'Programmed', reason: 'Programmed', message: 'No errors found' },
  resolved: { type: 'ResolvedRefs', reason: 'ResolvedRefs', message: 'No errors found' },
} as const;

const supported: readonly string[] = ['HTTP', 'HTTPS', 'TLS', 'TCP'];

export function buildListener(listener: GatewayListenerSpec, owner: ListenerOwner, { lookups, conflict }: { readonly lookups: Lookups; readonly conflict: Problem | undefined }): BuiltListener {
  const { kinds, allKnown } = supportedKinds(listener);
  const wrongKinds: Problem | undefined = allKnown ? undefined : { reason: 'InvalidRouteKinds', message: `allowedRoutes.kinds: a ${listener.protocol} listener cannot take some of them` };
  if (conflict) {
    const conditions = [condition(fine.accepted, conflict), condition(fine.conflicted, conflict), condition(fine.programmed, conflict), ...(wrongKinds ? [condition(fine.resolved, wrongKinds)] : [])];
    return { listener, valid: false, supportedKinds: kinds, conditions: sortedConditions(conditions) };
  }
  const tls = listenerTls(listener, owner, lookups);
  const unsupported = protocolProblem(listener);
  const isSet = owner.config.key.kind === 'ListenerSet';
  const untouched = (listener.protocol === 'HTTPS' || listener.protocol === 'TLS') && !listener.tls;
  const noTls: Problem | undefined = untouched && isSet ? { reason: 'UnsupportedProtocol', message: `protocol ${listener.protocol} needs tls` } : undefined;
  const badClients = ['InvalidCACertificateRef', 'InvalidCACertificateKind', 'RefNotPermitted'].includes(tls.problem?.reason ?? '');
  const notAccepted: Problem | undefined = badClients && tls.problem ? { reason: 'NoValidCACertificate', message: tls.problem.message } : undefined;
  const badTls: Problem | undefined = tls.problem || noTls ? { reason: 'Invalid', message: 'Bad TLS configuration' } : undefined;
  const conditions = [condition(fine.accepted, unsupported ?? noTls ?? notAccepted), condition(fine.conflicted), condition(fine.programmed, badTls), condition(fine.resolved, wrongKinds ?? tls.problem)];
  const server: Server = {
    port: { name: 'default', number: listener.port, protocol: listener.protocol, targetPort: 0 },
    bind: '',
    hosts: serverHosts(listener, owner.config.meta.namespace, lookups),
    defaultEndpoint: '',
    name: '',
    ...(tls.tls ? { tls: tls.tls } : {}),
  };
  const served = !untouched && unsupported === undefined;
  return { listener, ...(served ? { server } : {}), valid: served && !tls.fatal, supportedKinds: kinds, conditions: sortedConditions(conditions) };
}

function protocolProblem({ protocol, port }: GatewayListenerSpec): Problem | undefined {
  if (port === 0) return { reason: 'UnsupportedProtocol', message: `protocol ${protocol} has no usual port: set port` };
  if (supported.includes(protocol)) return undefined;
  const upper = protocol.toUpperCase();
  return { reason: 'UnsupportedProtocol', message: `protocol "${protocol}" is not supported${supported.includes(upper) ? `; did you mean "${upper}"?` : ''}` };
}

/** "namespace/host" for each namespace whose routes may come; "~/host" when none may: the names are still listened for. */
function serverHosts(listener: GatewayListenerSpec, own: string, lookups: Lookups): string[] {
  const host = listener.hostname || '*';
  const names = allowedNamespaces(listener.allowedRoutes?.namespaces, own, lookups);
  return names.length === 0 ? [`~/${host}`] : names.map((namespace) => `${namespace}/${host}`);
}

/** "*" is every namespace. */
export function allowedNamespaces(rule: RouteNamespaces | undefined, own: string, lookups: Lookups): readonly string[] {
  if (!rule || rule.from === 'Same') return [own];
  if (rule.from === 'None') return [];
  return rule.from === 'All' || !rule.selector ? ['*'] : lookups.namespaces(rule.selector);
}

const kindsOf: Readonly<Record<string, readonly string[]>> = { HTTP: ['HTTPRoute', 'GRPCRoute'], HTTPS: ['HTTPRoute', 'GRPCRoute'], TCP: ['TCPRoute'], TLS: ['TLSRoute'] };

function supportedKinds(listener: GatewayListenerSpec): { readonly kinds: readonly RouteGroupKind[]; readonly allKnown: boolean } {
  const terminates = listener.protocol === 'TLS' && listener.tls?.mode === 'Terminate';
  const kinds = [...(kindsOf[listener.protocol] ?? []), ...(terminates ? ['TCPRoute'] : [])].map((kind) => ({ group: gatewayApiGroup, kind }));
  const wanted = listener.allowedRoutes?.kinds ?? [];
  if (wanted.length === 0) return { kinds, allKnown: true };
  const both = kinds.filter(({ group, kind }) => wanted.some((entry) => entry.group === group && entry.kind === kind));
  return { kinds: both, allKnown: both.length === wanted.length };
}
