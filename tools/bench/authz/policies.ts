type Json = Record<string, unknown>;

/** What one caller sends. */
export interface Asked {
  readonly path: string;
  readonly host: string;
  /** SPIFFE id of its certificate. */
  readonly principal: string;
}

/** A way for policies to differ, and requests that meet policy `i`; null: requests that meet none. */
export interface Shape {
  readonly name: string;
  readonly action: 'ALLOW' | 'DENY';
  readonly policy: (i: number) => Json;
  readonly asked: (i: number) => Partial<Asked>;
}

const any = { any: true };
const path = (i: number) => `/shop/items/${i}/detail`;
const host = (i: number) => `h${i}.shop.example`;
const principal = (i: number) => `spiffe://cluster.local/ns/shop/sa/app-${i}`;
const pathRule = (i: number): Json => ({ urlPath: { path: { exact: path(i) } } });
const hostRule = (i: number): Json => ({ header: { name: ':authority', stringMatch: { exact: host(i), ignoreCase: true } } });
const principalRule = (i: number): Json => ({ authenticated: { principalName: { exact: principal(i) } } });
const policyOf = (permission: Json, who: Json): Json => ({ permissions: [{ andRules: { rules: [permission] } }], principals: [{ andIds: { ids: [who] } }] });

export const shapes: readonly Shape[] = [
  { name: 'path', action: 'ALLOW', policy: (i) => policyOf(pathRule(i), any), asked: (i) => ({ path: `${path(i)}?q=1` }) },
  { name: 'host', action: 'ALLOW', policy: (i) => policyOf(hostRule(i), any), asked: (i) => ({ host: host(i) }) },
  { name: 'principal', action: 'ALLOW', policy: (i) => policyOf(any, principalRule(i)), asked: (i) => ({ principal: principal(i) }) },
  { name: 'path and principal', action: 'ALLOW', policy: (i) => policyOf(pathRule(i), principalRule(i)), asked: (i) => ({ path: path(i), principal: principal(i) }) },
  // by two dozen namespaces, so that each has many
  { name: 'path, many of a principal', action: 'ALLOW', policy: (i) => policyOf(pathRule(i), principalRule(i % 24)), asked: (i) => ({ path: path(i), principal: principal(i % 24) }) },
  { name: 'DENY, none met', action: 'DENY', policy: (i) => policyOf(pathRule(i), principalRule(i)), asked: () => ({ path: '/welcome', principal: principal(-1) }) },
];

/** RBAC with `count` policies under the names that Istio gives them. */
export function rbacOf({ action, policy }: Shape, count: number): Json {
  return { action, policies: Object.fromEntries(Array.from({ length: count }, (_, i) => [`ns[shop]-policy[p${i}]-rule[0]`, policy(i)])) };
}

/** Requests spread over the policies. */
export function askedOf({ asked }: Shape, count: number, requests: number): Asked[] {
  return Array.from({ length: requests }, (_, i) => ({ path: '/welcome', host: 'shop.example', principal: 'spiffe://cluster.local/ns/shop/sa/web', ...asked((i * 7919) % count) }));
}
