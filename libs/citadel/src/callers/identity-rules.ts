import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import { controlPlaneNamespace, formatSpiffeId, spiffeId, type SpiffeId } from '@meltemi/identity';
import type { JsonObject } from '@meltemi/identity/jwt';
import { isNamespaceName, isServiceAccountName } from './kube-names.ts';

/** Which claims give which identity. */
export interface IdentityRule {
  /** All must match: a claim has this value, or is a list with it in it; of several values one is enough. */
  readonly when: readonly ClaimMatch[];
  readonly namespace: NameTemplate;
  readonly serviceAccount: NameTemplate;
}

interface ClaimMatch {
  readonly claim: string;
  readonly anyOf: readonly ClaimValue[];
}

type ClaimValue = string | number | boolean;

/** A name with at most one claim in it: of two, `a-b` + `c` and `a` + `b-c` would be one name. */
interface NameTemplate {
  readonly before: string;
  /** Undefined: the name is `before`. */
  readonly claim: string | undefined;
  readonly after: string;
}

const maxConditions = 16;
const maxValues = 64;
const maxTemplateChars = 512;

/** Reads one rule; error paths are within it. */
export function parseIdentityRule(value: unknown): Result<IdentityRule> {
  if (!isObject(value)) return fail('', 'must be an object with when, namespace and serviceAccount');
  const errors: FieldError[] = Object.keys(value).filter((key) => !['when', 'namespace', 'serviceAccount'].includes(key)).map((key) => ({ path: key, message: 'is unknown here' }));
  const when = parseConditions(value['when']);
  if (!when.ok) errors.push(...when.error);
  const namespace = parseTemplate(value['namespace'], 'namespace', isNamespaceName);
  if (!namespace.ok) errors.push(...namespace.error);
  const serviceAccount = parseTemplate(value['serviceAccount'], 'serviceAccount', isServiceAccountName);
  if (!serviceAccount.ok) errors.push(...serviceAccount.error);
  if (errors.length > 0 || !when.ok || !namespace.ok || !serviceAccount.ok) return err(errors);
  if (namespace.value.claim === undefined && namespace.value.before === controlPlaneNamespace && serviceAccount.value.claim !== undefined) return fail('serviceAccount', `must be written out in namespace ${controlPlaneNamespace}: a claim may not choose a program of the control plane`);
  return ok({ when: when.value, namespace: namespace.value, serviceAccount: serviceAccount.value });
}

/** The identity that a rule gives to verified claims; undefined when it does not match, or a claim in a name is missing or no name. */
export function identityBy(rule: IdentityRule, claims: JsonObject, trustDomain: string): SpiffeId | undefined {
  if (!rule.when.every(({ claim, anyOf }) => matches(claimOf(claims, claim), anyOf))) return undefined;
  const namespace = fill(rule.namespace, claims, isNamespaceName);
  const serviceAccount = fill(rule.serviceAccount, claims, isServiceAccountName);
  if (namespace === undefined || serviceAccount === undefined) return undefined;
  // Only who writes the rules makes a program of the control plane, never who writes a claim.
  if (namespace === controlPlaneNamespace && rule.namespace.claim !== undefined) return undefined;
  const id = spiffeId(trustDomain, namespace, serviceAccount);
  return id.ok ? id.value : undefined;
}

/** All identities that rules give to claims, each once, in the order of the rules. */
export function identitiesOf(rules: readonly IdentityRule[], claims: JsonObject, trustDomain: string): SpiffeId[] {
  return [...new Map(rules.flatMap((rule) => identityBy(rule, claims, trustDomain) ?? []).map((id) => [formatSpiffeId(id), id])).values()];
}

function parseConditions(value: unknown): Result<ClaimMatch[]> {
  if (!isObject(value)) return fail('when', 'is required: an object of claims and the values they must have; {} for every token of the issuer');
  const entries = Object.entries(value);
  if (entries.length > maxConditions) return fail('when', `has ${entries.length} claims; the limit is ${maxConditions}`);
  const conditions: ClaimMatch[] = [];
  for (const [claim, wanted] of entries) {
    const anyOf: readonly unknown[] = Array.isArray(wanted) ? wanted : [wanted];
    if (anyOf.length === 0 || anyOf.length > maxValues || !anyOf.every(isClaimValue)) return fail(`when.${claim}`, `must be a string, number or boolean, or a list of 1 to ${maxValues} of them`);
    conditions.push({ claim, anyOf });
  }
  return ok(conditions);
}

function parseTemplate(value: unknown, path: string, isName: (text: string) => boolean): Result<NameTemplate> {
  if (typeof value !== 'string' || value.length > maxTemplateChars) return fail(path, 'is required: a name, in which one {claim} may stand');
  const matched = /^([^{}]*)(?:\{([^{}]+)\}([^{}]*))?$/.exec(value);
  if (!matched) return fail(path, `${JSON.stringify(value)} must have at most one {claim}: values of two could be cut in other places and give another's name`);
  const [, before = '', claim, after = ''] = matched;
  // What a claim may hold at its shortest, so that what is written around it is found wrong here and not at the first token.
  if (!isName(claim === undefined ? before : `${before}x${after}`)) return fail(path, `${JSON.stringify(value)} can never be a name in Kubernetes: lower-case letters, digits and '-'${path === 'serviceAccount' ? " and '.'" : ''}`);
  return ok({ before, claim, after });
}

function fill({ before, claim, after }: NameTemplate, claims: JsonObject, isName: (text: string) => boolean): string | undefined {
  if (claim === undefined) return before;
  const value = claimOf(claims, claim);
  // A name of its own, so that no claim can hold a separator or an empty part that its surroundings make good.
  if (typeof value !== 'string' || !isNamespaceName(value)) return undefined;
  const name = `${before}${value}${after}`;
  return isName(name) ? name : undefined;
}

/** A claim by its name, or by JSON pointer (RFC 6901) when it begins with "/". */
function claimOf(claims: JsonObject, name: string): unknown {
  if (!name.startsWith('/')) return Object.hasOwn(claims, name) ? claims[name] : undefined;
  let at: unknown = claims;
  for (const part of name.slice(1).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!isObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

function matches(value: unknown, anyOf: readonly ClaimValue[]): boolean {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.some((each) => isClaimValue(each) && anyOf.includes(each));
}

function isClaimValue(value: unknown): value is ClaimValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
