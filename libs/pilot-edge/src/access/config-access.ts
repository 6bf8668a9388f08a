import { status } from '@grpc/grpc-js';
import { kinds, type ConfigKey, type StoreFilter } from '@meltemi/config';
import { ApiError } from '../api-call.ts';
import { resourceOf, type AccessDecision, type AccessPolicy, type AccessRequest, type AccessVerb } from './access-policy.ts';
import type { ApiCaller } from './api-caller.ts';
import { ownGroup } from './default-roles.ts';

/** What one caller may do, as the policy of the moment says. Remembers its decisions about reading for as long as the policy stays: lists are long. */
export class CallerAccess {
  readonly caller: ApiCaller;
  readonly #policy: () => AccessPolicy;
  #remembered: { readonly policy: AccessPolicy; readonly visible: Map<string, boolean> } | undefined;

  constructor(caller: ApiCaller, policy: () => AccessPolicy) {
    this.caller = caller;
    this.#policy = policy;
  }

  decide(verb: AccessVerb, key: Omit<ConfigKey, 'name'> & { readonly name?: string }): AccessDecision {
    return this.#policy().decide(this.caller, { verb, group: key.group, resource: resourceOf(key), namespace: key.namespace, ...(key.name === undefined ? {} : { name: key.name }) });
  }

  /** Throws PERMISSION_DENIED with who, what, and which role would allow it. */
  must(verb: AccessVerb, key: ConfigKey): void {
    const decision = this.decide(verb, key);
    if (!decision.allowed) throw new ApiError(status.PERMISSION_DENIED, refusalText(this.caller, { verb, key, decision }));
  }

  /** Of what pilot knows beside objects. */
  mustOwn(verb: AccessVerb, resource: 'proxies'): void {
    const decision = this.#policy().decide(this.caller, own(verb, resource));
    if (!decision.allowed) throw new ApiError(status.PERMISSION_DENIED, refusalText(this.caller, { verb, key: { group: ownGroup, kind: resource, namespace: '' }, decision }));
  }

  mayOwn(verb: AccessVerb, resource: 'sourceproblems'): boolean {
    return this.#policy().decide(this.caller, own(verb, resource)).allowed;
  }

  /** Throws unless something a filter names may be seen; then `sees` says what. */
  mustSeeSome(verb: 'list' | 'watch', filter: StoreFilter): void {
    const { group, kind, namespace } = filter;
    if (kind === undefined || this.caller.owner) return;
    const groups = group === undefined ? kinds.filter((each) => each.kind === kind).map((each) => each.group) : [group];
    const keys = (groups.length === 0 ? [''] : groups).map((each) => ({ group: each, kind, namespace: namespace ?? '' }));
    const some = keys.some((key) => this.decide(verb, key).allowed || (namespace === undefined && this.#policy().decideAnywhere(this.caller, { verb, group: key.group, resource: resourceOf(key), namespace: '' })));
    const [key] = keys;
    if (!some && key) throw new ApiError(status.PERMISSION_DENIED, refusalText(this.caller, { verb, key, decision: this.decide(verb, key) }));
  }

  /** Whether an object is shown among others. */
  sees(verb: 'list' | 'watch', key: ConfigKey): boolean {
    if (this.caller.owner) return true;
    const policy = this.#policy();
    if (this.#remembered?.policy !== policy) this.#remembered = { policy, visible: new Map() };
    const { visible } = this.#remembered;
    const text = `${verb}/${key.group}/${key.kind}/${key.namespace}`;
    const known = visible.get(text);
    if (known !== undefined) return known;
    const { allowed } = this.decide(verb, { group: key.group, kind: key.kind, namespace: key.namespace });
    visible.set(text, allowed);
    return allowed;
  }
}

function own(verb: AccessVerb, resource: string): AccessRequest {
  return { verb, group: ownGroup, resource, namespace: '' };
}

/** "spiffe://… may not create VirtualService shop/cart: …". */
export function refusalText(caller: ApiCaller, { verb, key, decision }: { readonly verb: AccessVerb; readonly key: Omit<ConfigKey, 'name'> & { readonly name?: string }; readonly decision: AccessDecision }): string {
  const where = key.namespace === '' ? 'in all namespaces' : `in namespace "${key.namespace}"`;
  const roles = decision.allowed ? [] : decision.roles;
  const resource = `${resourceOf(key)}${key.group === '' ? '' : `.${key.group}`}`;
  const remedy = roles.length === 0 ? 'no role there is would allow it' : `${roles.join(' or ')} would allow it, bound to it ${key.namespace === '' ? 'by a ClusterRoleBinding' : `by a RoleBinding in "${key.namespace}" or a ClusterRoleBinding`} (pilot's --config-rbac)`;
  return `${caller.name} may not ${verb} ${key.kind}${key.name === undefined || key.name === '' ? '' : ` "${key.name}"`} (${resource}) ${where}: ${remedy}`;
}
