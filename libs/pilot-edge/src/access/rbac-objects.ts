import { fail, ok, type FieldError, type Result } from '@meltemi/base';
import { keyText, type RawObject } from '@meltemi/config';

/** Kubernetes' group of roles and bindings. */
export const rbacGroup = 'rbac.authorization.k8s.io';

/** One PolicyRule: every list must have the thing asked for. */
export interface RbacRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** Empty: any name. */
  readonly resourceNames: readonly string[];
}

/** A ClusterRole, or a Role of a namespace. */
export interface RbacRole {
  readonly kind: 'ClusterRole' | 'Role';
  /** "" for a ClusterRole. */
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly RbacRule[];
}

/** A ClusterRoleBinding, or a RoleBinding of a namespace. */
export interface RbacBinding {
  readonly kind: 'ClusterRoleBinding' | 'RoleBinding';
  /** Where it grants; "" everywhere. */
  readonly namespace: string;
  readonly name: string;
  readonly role: Pick<RbacRole, 'kind' | 'name'>;
  /** As in ApiCaller. */
  readonly subjects: readonly string[];
}

export interface RbacObjects {
  readonly roles: readonly RbacRole[];
  readonly bindings: readonly RbacBinding[];
}

/** Reads the roles and bindings among objects; others are left out. Paths begin with the object they are about. */
export function readRbacObjects(objects: Iterable<RawObject>): Result<RbacObjects> {
  const roles: RbacRole[] = [];
  const bindings: RbacBinding[] = [];
  const errors: FieldError[] = [];
  for (const raw of objects) {
    if (raw.key.group !== rbacGroup) continue;
    const reader = new Reader(raw, errors);
    if (raw.apiVersion !== `${rbacGroup}/v1`) reader.wrong('apiVersion', `must be ${rbacGroup}/v1`);
    if (raw.key.kind === 'Role' || raw.key.kind === 'ClusterRole') roles.push(readRole(raw, raw.key.kind, reader));
    else if (raw.key.kind === 'RoleBinding' || raw.key.kind === 'ClusterRoleBinding') bindings.push(readBinding(raw, raw.key.kind, reader));
    else reader.wrong('kind', `"${raw.key.kind}" is none of Role, ClusterRole, RoleBinding, ClusterRoleBinding`);
  }
  return errors.length > 0 ? { ok: false, error: errors } : ok({ roles, bindings });
}

/** A binding whose role is not there grants nothing and is a mistake. */
export function danglingBindings(roles: readonly RbacRole[], bindings: readonly RbacBinding[]): Result<void> {
  const there = new Set(roles.map(({ kind, namespace, name }) => `${kind}/${namespace}/${name}`));
  const lost = bindings.find(({ role, namespace }) => !there.has(`${role.kind}/${role.kind === 'Role' ? namespace : ''}/${role.name}`));
  return lost ? fail(`${lost.kind} ${lost.namespace === '' ? '' : `${lost.namespace}/`}${lost.name}: roleRef.name`, `there is no ${lost.role.kind} "${lost.role.name}"${lost.role.kind === 'Role' ? ` in namespace "${lost.namespace}"` : ''}`) : ok(undefined);
}

function readRole(raw: RawObject, kind: RbacRole['kind'], reader: Reader): RbacRole {
  reader.only(raw.content, '', ['apiVersion', 'kind', 'metadata', 'rules']);
  const rules = reader.list(raw.content['rules'] ?? [], 'rules').map((value, at): RbacRule => {
    const path = `rules[${at}]`;
    const rule = reader.map(value, path);
    reader.only(rule, path, ['apiGroups', 'resources', 'verbs', 'resourceNames']);
    const strings = (field: string) => reader.list(rule[field] ?? [], `${path}.${field}`).map((each, index) => reader.text(each, `${path}.${field}[${index}]`));
    const read = { apiGroups: strings('apiGroups'), resources: strings('resources'), verbs: strings('verbs'), resourceNames: strings('resourceNames') };
    for (const field of ['apiGroups', 'resources', 'verbs'] as const) if (read[field].length === 0) reader.wrong(`${path}.${field}`, 'is required; "*" stands for all');
    return read;
  });
  return { kind, namespace: raw.key.namespace, name: raw.key.name, rules };
}

function readBinding(raw: RawObject, kind: RbacBinding['kind'], reader: Reader): RbacBinding {
  reader.only(raw.content, '', ['apiVersion', 'kind', 'metadata', 'subjects', 'roleRef']);
  const ref = reader.map(raw.content['roleRef'], 'roleRef');
  reader.only(ref, 'roleRef', ['apiGroup', 'kind', 'name']);
  const roleKind = reader.text(ref['kind'], 'roleRef.kind');
  if (roleKind !== 'ClusterRole' && (roleKind !== 'Role' || kind === 'ClusterRoleBinding')) reader.wrong('roleRef.kind', kind === 'ClusterRoleBinding' ? 'must be ClusterRole' : 'must be Role or ClusterRole');
  const subjects = reader.list(raw.content['subjects'] ?? [], 'subjects').map((value, at) => readSubject(reader, value, `subjects[${at}]`));
  return { kind, namespace: raw.key.namespace, name: raw.key.name, role: { kind: roleKind === 'Role' ? 'Role' : 'ClusterRole', name: reader.text(ref['name'], 'roleRef.name') }, subjects };
}

function readSubject(reader: Reader, value: unknown, path: string): string {
  const subject = reader.map(value, path);
  reader.only(subject, path, ['kind', 'apiGroup', 'name', 'namespace']);
  const kind = reader.text(subject['kind'], `${path}.kind`);
  const name = reader.text(subject['name'], `${path}.name`);
  if (kind === 'ServiceAccount') return `ServiceAccount/${reader.text(subject['namespace'], `${path}.namespace`)}/${name}`;
  if (kind !== 'User' && kind !== 'Group') reader.wrong(`${path}.kind`, 'must be ServiceAccount, User (named by its SPIFFE id) or Group');
  return `${kind}/${name}`;
}

/** Reads fields of one object and notes what is wrong; what it returns then does not matter. */
class Reader {
  readonly #about: string;
  readonly #errors: FieldError[];

  constructor(raw: RawObject, errors: FieldError[]) {
    this.#about = keyText(raw.key).replace(`${rbacGroup}/`, '').replace('/', ' ').replace(' /', ' ');
    this.#errors = errors;
  }

  wrong(path: string, message: string): void {
    this.#errors.push({ path: `${this.#about}: ${path}`, message });
  }

  only(map: Readonly<Record<string, unknown>>, path: string, fields: readonly string[]): void {
    for (const name of Object.keys(map)) if (!fields.includes(name)) this.wrong(path === '' ? name : `${path}.${name}`, `is not supported; there are ${fields.join(', ')}`);
  }

  map(value: unknown, path: string): Readonly<Record<string, unknown>> {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
    this.wrong(path, 'must be an object');
    return {};
  }

  list(value: unknown, path: string): readonly unknown[] {
    if (Array.isArray(value)) return value as readonly unknown[];
    this.wrong(path, 'must be a list');
    return [];
  }

  text(value: unknown, path: string): string {
    if (typeof value === 'string' && (value !== '' || /apiGroups\[/.test(path))) return value;
    this.wrong(path, 'must be a text that is not empty');
    return '';
  }
}
