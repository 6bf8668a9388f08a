import { gatewayApiGroup, type BackendObjectReference, type Config, type Destination } from '@meltemi/config';
import type { Lookups } from './lookups.ts';
import type { Problem } from './problem.ts';
import { Refused } from './refused.ts';

/** The route a backend stands in. */
export interface BackendContext {
  readonly route: Config;
  readonly lookups: Lookups;
  /** Routes of gateways need a ReferenceGrant for backends of other namespaces; in the mesh a consumer speaks for itself. */
  readonly needsGrant: boolean;
}

/** Where a backend's requests go. With a problem they are answered 500: an unusable backend leads to "" or to a name that nobody has. */
export interface BackendDestination {
  readonly destination: Destination;
  readonly problem?: Problem;
}

const nowhere: Destination = { host: '', subset: '' };

export function backendDestination(backend: BackendObjectReference, path: string, context: BackendContext): BackendDestination {
  const { route, lookups } = context;
  const own = route.meta.namespace;
  const namespace = backend.namespace ?? own;
  const { group, kind, name, port } = backend;
  if (context.needsGrant && !lookups.grants({ group: gatewayApiGroup, kind: route.key.kind, namespace: own }, { group, kind, namespace, name }))
    return { destination: nowhere, problem: { reason: 'RefNotPermitted', message: `backendRef ${namespace}/${name} is of another namespace, and no ReferenceGrant there allows it to a ${route.key.kind} of ${own}` } };
  const found = hostOf(backend, { namespace, path, lookups });
  if (found === undefined) return { destination: nowhere, problem: { reason: 'InvalidKind', message: `backendRef ${namespace}/${name}: ${kind}${group === '' ? '' : `.${group}`} is not supported, a Service is` } };
  if (port === undefined) throw new Refused(`${path}.port`, { reason: 'InvalidDestination', message: 'port is required in a backendRef' });
  const destination: Destination = { host: found.host, subset: '', port: { number: port } };
  return found.known ? { destination } : { destination, problem: { reason: 'BackendNotFound', message: `backend ${found.host} does not exist` } };
}

interface Place {
  readonly namespace: string;
  readonly path: string;
  readonly lookups: Lookups;
}

/** undefined: a kind that takes no traffic here. */
function hostOf({ group, kind, name, namespace: written }: BackendObjectReference, { namespace, path, lookups }: Place): { readonly host: string; readonly known: boolean } | undefined {
  // a ServiceImport is the Service of its name, which is of all clusters already
  if ((group === '' && kind === 'Service') || (group === 'multicluster.x-k8s.io' && kind === 'ServiceImport')) {
    if (name.includes('.')) throw new Refused(`${path}.name`, { reason: 'InvalidDestination', message: `"${name}" must be the name of a Service, not its host name` });
    return { host: `${name}.${namespace}.svc.${lookups.domain}`, known: lookups.service(namespace, name) !== undefined };
  }
  if (group === 'networking.istio.io' && kind === 'Hostname') {
    if (written !== undefined) throw new Refused(`${path}.namespace`, { reason: 'InvalidDestination', message: 'cannot be set for a Hostname' });
    return { host: name, known: lookups.knowsHost(namespace, name) };
  }
  return undefined;
}
