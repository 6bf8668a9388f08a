import { object } from '../../schema/containers.ts';
import { int, string } from '../../schema/scalars.ts';
import { optional, required, withDefault } from '../../schema/schema.ts';
import { gatewayApiGroup } from './group.ts';

/** What a route attaches to: a Gateway, a ListenerSet, or a Service or ServiceEntry of the mesh. */
export interface ParentReference {
  readonly group: string;
  readonly kind: string;
  /** Absent: the route's own. */
  readonly namespace?: string;
  readonly name: string;
  /** A listener; absent: every listener. */
  readonly sectionName?: string;
  readonly port?: number;
}

/** A thing that takes traffic. */
export interface BackendObjectReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  /** Absent: the route's own. */
  readonly namespace?: string;
  readonly port?: number;
}

export interface BackendRef extends BackendObjectReference {
  readonly weight: number;
}

/** A Secret or ConfigMap, perhaps of another namespace. */
export interface NamespacedReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  /** Absent: that of the object which refers. */
  readonly namespace?: string;
}

/** An object of one's own namespace. */
export interface LocalObjectReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

const name = required(string({ minLength: 1, maxLength: 253 }));
const group = string({ maxLength: 253 });
const kind = string({ minLength: 1, maxLength: 63 });
const namespace = optional(string({ minLength: 1, maxLength: 63 }));
const port = optional(int('int32', { min: 1, max: 65535 }));

export const parentReference = object<ParentReference>({
  group: withDefault(group, gatewayApiGroup),
  kind: withDefault(kind, 'Gateway'),
  namespace,
  name,
  sectionName: optional(string({ minLength: 1, maxLength: 253 })),
  port,
});

/** Fields of every reference to a backend, for schemas that add their own. */
export const backendFields = { group, kind: withDefault(kind, 'Service'), name, namespace, port };

export const weight = withDefault(int('int32', { min: 0, max: 1_000_000 }), 1);

export const backendObjectReference = object<BackendObjectReference>(backendFields);

export const backendRef = object<BackendRef>({ ...backendFields, weight });

export const secretReference = object<NamespacedReference>({ group, kind: withDefault(kind, 'Secret'), name, namespace });

export const objectReference = object<NamespacedReference>({ group: required(group), kind: required(kind), name, namespace });

export const localObjectReference = object<LocalObjectReference>({ group: required(group), kind: required(kind), name });
