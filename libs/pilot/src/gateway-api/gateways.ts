import type { Config, GatewayClassSpec, GatewaySpec, KubeGatewaySpec, ListenerSetSpec } from '@meltemi/config';
import { knownClass, type KnownClass } from './classes.ts';
import { listenerConflicts, type OwnedListener } from './listener-conflicts.ts';
import { allowedNamespaces, buildListener, type BuiltListener } from './listeners.ts';
import type { Lookups } from './lookups.ts';
import { listenerGatewayName, notes } from './names.ts';
import type { Problem } from './problem.ts';

/** A Gateway or ListenerSet of ours, converted. */
export interface ConvertedGateway {
  readonly config: Config<KubeGatewaySpec> | Config<ListenerSetSpec>;
  /** The Gateway itself; for a ListenerSet the one it adds to. */
  readonly gateway: Config<KubeGatewaySpec>;
  readonly knownClass: KnownClass;
  /** Host names of the Services in front of its workloads. */
  readonly services: readonly string[];
  readonly listeners: readonly BuiltListener[];
  /** One per listener with a server, in their order. */
  readonly generated: readonly { readonly listener: BuiltListener; readonly config: Config<GatewaySpec> }[];
  /** Why the object as a whole is not accepted. */
  readonly problem?: Problem;
}

export interface GatewayInputs {
  readonly gateways: readonly Config<KubeGatewaySpec>[];
  readonly listenerSets: readonly Config<ListenerSetSpec>[];
  readonly classes: readonly Config<GatewayClassSpec>[];
  readonly lookups: Lookups;
}

/** One Gateway of ours and the ListenerSets that add to it; empty when its class is not ours. */
export function convertGateway(gateway: Config<KubeGatewaySpec>, inputs: GatewayInputs): ConvertedGateway[] {
  const known = knownClass(gateway.spec.gatewayClassName, inputs.classes);
  if (!known) return [];
  const sets = inputs.listenerSets.filter((set) => adds(set, gateway));
  if (!known.routes) return [{ config: gateway, gateway, knownClass: known, services: [], listeners: [], generated: [] }];
  const { services, problem: unplaced } = frontServices(gateway, inputs.lookups);
  const problem = unplaced ?? parametersProblem(gateway, inputs.lookups);
  const allowed = sets.filter((set) => mayAdd(set, gateway, inputs.lookups));
  const conflicts = listenerConflicts([...owned(gateway, gateway.spec.listeners), ...allowed.flatMap((set) => owned(set, withPorts(set)))]);
  const convert = (config: Config<KubeGatewaySpec> | Config<ListenerSetSpec>): ConvertedGateway => {
    const listeners = (config === gateway ? gateway.spec.listeners : withPorts(config as Config<ListenerSetSpec>)).map((listener) =>
      buildListener(listener, { config, gatewayTls: gateway.spec.tls }, { lookups: inputs.lookups, conflict: conflicts.get(listener) }),
    );
    const generated = services.length === 0 ? [] : listeners.flatMap((listener) => (listener.server ? [{ listener, config: generatedGateway(config, listener, { gateway, services }) }] : []));
    return { config, gateway, knownClass: known, services, listeners, generated, ...(problem ? { problem } : {}) };
  };
  const refused = sets.filter((set) => !allowed.includes(set)).map((config): ConvertedGateway => ({
    config, gateway, knownClass: known, services, listeners: [], generated: [],
    problem: { reason: 'NotAllowed', message: `Gateway ${gateway.meta.namespace}/${gateway.meta.name} does not allow it: see its spec.allowedListeners` },
  }));
  return [convert(gateway), ...allowed.map(convert), ...refused];
}

/** Nothing is deployed here, but who names parameters that are not there has made a mistake. */
function parametersProblem({ spec, meta }: Config<KubeGatewaySpec>, { configMap }: Lookups): Problem | undefined {
  const parameters = spec.infrastructure?.parametersRef;
  if (!parameters) return undefined;
  const { group, kind, name } = parameters;
  if (group !== '' || kind !== 'ConfigMap') return { reason: 'InvalidParameters', message: `infrastructure.parametersRef: only a ConfigMap can hold parameters, not ${group === '' ? kind : `${kind}.${group}`}` };
  return configMap(meta.namespace, name) ? undefined : { reason: 'InvalidParameters', message: `infrastructure.parametersRef: there is no ConfigMap ${meta.namespace}/${name}` };
}

function adds({ spec, meta }: Config<ListenerSetSpec>, gateway: Config<KubeGatewaySpec>): boolean {
  const { group, kind, name, namespace = meta.namespace } = spec.parentRef;
  return group === gateway.key.group && kind === 'Gateway' && name === gateway.meta.name && namespace === gateway.meta.namespace;
}

/** Nobody may, unless the Gateway says so. */
function mayAdd(set: Config<ListenerSetSpec>, gateway: Config<KubeGatewaySpec>, lookups: Lookups): boolean {
  const rule = gateway.spec.allowedListeners?.namespaces;
  const names = rule ? allowedNamespaces(rule, gateway.meta.namespace, lookups) : [];
  return names.includes('*') || names.includes(set.meta.namespace);
}

function owned(owner: Config, listeners: OwnedListener['listener'][] | KubeGatewaySpec['listeners']): OwnedListener[] {
  return listeners.map((listener) => ({ owner, listener }));
}

const ported = new WeakMap<Config<ListenerSetSpec>, ListenerSetSpec['listeners']>();

/** A ListenerSet may leave out the port that its protocol usually has. */
function withPorts(set: Config<ListenerSetSpec>): ListenerSetSpec['listeners'] {
  const usual: Readonly<Record<string, number>> = { HTTP: 80, HTTPS: 443 };
  const known = ported.get(set) ?? set.spec.listeners.map((listener) => ({ ...listener, port: listener.port === 0 ? (usual[listener.protocol] ?? 0) : listener.port }));
  ported.set(set, known);
  return known;
}

/** True when a deployment of its own serves the Gateway: nothing but an address is written down, or not even that. */
export function isManaged({ addresses }: KubeGatewaySpec): boolean {
  return addresses.length === 0 || (addresses.length === 1 && addresses[0]?.type === 'IPAddress');
}

/** "<gateway>-<class>", unless an annotation names it. */
function managedName({ meta, spec }: Config<KubeGatewaySpec>): string {
  return meta.annotations['gateway.istio.io/name-override'] ?? `${meta.name}-${spec.gatewayClassName}`;
}

function frontServices(gateway: Config<KubeGatewaySpec>, { domain }: Lookups): { readonly services: readonly string[]; readonly problem?: Problem } {
  const { namespace } = gateway.meta;
  if (isManaged(gateway.spec)) return { services: [`${managedName(gateway)}.${namespace}.svc.${domain}`] };
  const services = gateway.spec.addresses.filter(({ type }) => type === 'Hostname').map(({ value }) => (value.includes('.') ? value : `${value}.${namespace}.svc.${domain}`));
  const others = gateway.spec.addresses.filter(({ type }) => type !== 'Hostname').map(({ value }) => value);
  if (others.length === 0) return { services };
  return { services, problem: { reason: 'UnsupportedAddress', message: `only addresses of type Hostname are supported here, ignored are ${others.join(', ')}` } };
}

function generatedGateway(config: Config, { listener, server }: BuiltListener, { gateway, services }: { readonly gateway: Config<KubeGatewaySpec>; readonly services: readonly string[] }): Config<GatewaySpec> {
  const { namespace } = config.meta;
  const name = listenerGatewayName(config.meta.name, listener.name);
  const managed = isManaged(gateway.spec);
  const annotations = {
    [notes.parents]: `${config.key.kind}/${config.meta.name}/${listener.name}.${namespace}`,
    [notes.gatewaySemantics]: 'gateway',
    [notes.gatewayService]: services.join(','),
    [notes.serviceAccount]: managed ? (gateway.meta.annotations['gateway.istio.io/service-account'] ?? managedName(gateway)) : '',
    ...(config === gateway ? {} : { [notes.parentNamespace]: gateway.meta.namespace }),
    ...(managed ? { [notes.gatewayName]: gateway.meta.name } : {}),
  };
  return {
    key: { group: 'networking.istio.io', kind: 'Gateway', namespace, name },
    apiVersion: 'networking.istio.io/v1',
    meta: { name, namespace, labels: {}, annotations, creationTimestamp: config.meta.creationTimestamp },
    spec: { servers: server ? [server] : [], selector: {} },
  };
}
