import { ok, type Result } from '@meltemi/base';
import { findKind } from '@meltemi/config';
import { defaultRoles, ownGroup, ownResources } from './default-roles.ts';
import type { ApiCaller } from './api-caller.ts';
import { danglingBindings, type RbacBinding, type RbacObjects, type RbacRole, type RbacRule } from './rbac-objects.ts';

export type AccessVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'delete';

/** What somebody wants to do. */
export interface AccessRequest {
  readonly verb: AccessVerb;
  readonly group: string;
  /** Kubernetes' plural: "virtualservices". */
  readonly resource: string;
  /** "" for cluster-scoped kinds, and for a look at all namespaces. */
  readonly namespace: string;
  /** Left out where it is about many. */
  readonly name?: string;
}

/** Through what a request is allowed, or the roles that would allow it, least first. */
export type AccessDecision =
  | { readonly allowed: true; readonly by: string }
  | { readonly allowed: false; readonly roles: readonly string[] };

interface Grant {
  readonly binding: RbacBinding;
  readonly role: RbacRole;
}

/** Which caller may do what: immutable; another policy is another object. Kubernetes' rules: what nothing allows is refused, and nothing denies. */
export class AccessPolicy {
  readonly #roles: readonly RbacRole[];
  readonly #grants: ReadonlyMap<string, readonly Grant[]>;

  private constructor(roles: readonly RbacRole[], grants: ReadonlyMap<string, readonly Grant[]>) {
    this.#roles = roles;
    this.#grants = grants;
  }

  /** Of roles and bindings beside the default roles, which a role of the same name replaces. `admins` are users with cluster-admin. */
  static of({ roles, bindings }: RbacObjects, admins: readonly string[] = []): Result<AccessPolicy> {
    const replaced = new Set(roles.filter(({ kind }) => kind === 'ClusterRole').map(({ name }) => name));
    const all = [...roles, ...defaultRoles.filter(({ name }) => !replaced.has(name))];
    const dangling = danglingBindings(all, bindings);
    if (!dangling.ok) return dangling;
    const byName = new Map(all.map((role) => [roleKey(role.kind, role.namespace, role.name), role]));
    const grants: Grant[] = bindings.flatMap((binding) => {
      const role = byName.get(roleKey(binding.role.kind, binding.namespace, binding.role.name));
      return role ? [{ binding, role }] : [];
    });
    const ruler = defaultRoles.find(({ name }) => name === 'cluster-admin');
    if (ruler && admins.length > 0) grants.push({ role: ruler, binding: { kind: 'ClusterRoleBinding', namespace: '', name: '--config-allow', role: ruler, subjects: admins.map((id) => `User/${id}`) } });
    const bySubject = new Map<string, Grant[]>();
    for (const grant of grants) for (const subject of new Set(grant.binding.subjects)) bySubject.set(subject, [...(bySubject.get(subject) ?? []), grant]);
    return ok(new AccessPolicy(all, bySubject));
  }

  decide(caller: ApiCaller, request: AccessRequest): AccessDecision {
    if (caller.owner) return { allowed: true, by: 'ownership of the config socket' };
    for (const { binding, role } of this.#grantsOf(caller)) {
      if (binding.namespace !== '' && binding.namespace !== request.namespace) continue;
      if (allows(role, request)) return { allowed: true, by: `${role.kind} "${role.name}" bound by ${binding.kind} "${binding.name}"` };
    }
    return { allowed: false, roles: this.#rolesFor(request) };
  }

  /** Whether some namespace's binding would allow it: then a look at all of them shows a part. */
  decideAnywhere(caller: ApiCaller, request: AccessRequest): boolean {
    return caller.owner || this.#grantsOf(caller).some(({ role }) => allows(role, request));
  }

  #grantsOf({ subjects }: ApiCaller): Grant[] {
    return subjects.flatMap((subject) => this.#grants.get(subject) ?? []);
  }

  #rolesFor(request: AccessRequest): string[] {
    const fitting = this.#roles.filter((role) => (role.kind === 'ClusterRole' || role.namespace === request.namespace) && allows(role, request));
    return fitting.slice(0, 3).map(({ kind, name }) => `${kind} "${name}"`);
  }
}

/** What bindings call a kind: its plural. */
export function resourceOf({ group, kind }: { readonly group: string; readonly kind: string }): string {
  return findKind(group, kind)?.plural ?? (group === ownGroup && ownResources.has(kind) ? kind : `${kind.toLowerCase()}s`);
}

function roleKey(kind: RbacRole['kind'], namespace: string, name: string): string {
  return `${kind}/${kind === 'Role' ? namespace : ''}/${name}`;
}

function allows({ rules }: RbacRole, request: AccessRequest): boolean {
  return rules.some((rule) => has(rule.apiGroups, request.group) && has(rule.resources, request.resource) && has(rule.verbs, request.verb) && namesFit(rule, request));
}

/** A rule about names says nothing about looks at many objects. */
function namesFit({ resourceNames }: RbacRule, { name }: AccessRequest): boolean {
  return resourceNames.length === 0 || (name !== undefined && resourceNames.includes(name));
}

function has(list: readonly string[], value: string): boolean {
  return list.includes(value) || list.includes('*');
}
