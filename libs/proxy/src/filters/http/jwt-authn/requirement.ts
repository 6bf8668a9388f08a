import type { JwtRequirement } from '@meltemi/api/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts';
import { fail, ok, type FieldError, type Result } from '@meltemi/base';
import { Audiences } from '@meltemi/identity/jwt';

/** What a request must show. */
export type Requirement =
  | { readonly kind: 'none' }
  | { readonly kind: 'provider'; readonly provider: string; /** Instead of the provider's own. */ readonly audiences: Audiences | null }
  | { readonly kind: 'any' | 'all'; readonly members: readonly Requirement[] }
  /** A token of one of these providers, or none at all; with `failed` also one that is not good. */
  | { readonly kind: 'optional'; readonly providers: readonly string[]; readonly failed: boolean };

const maxDepth = 16;

/** Compiles a requirement over the providers of these names. */
export function compileRequirement(message: JwtRequirement | undefined, path: string, names: ReadonlySet<string>, depth = 0): Result<Requirement> {
  const type = message?.requiresType;
  if (depth > maxDepth) return fail(path, `requirements are nested deeper than ${maxDepth}`);
  switch (type?.$case) {
    case undefined:
      return ok({ kind: 'none' });
    case 'providerName':
      return names.has(type.value) ? ok({ kind: 'provider', provider: type.value, audiences: null }) : unknown(`${path}.provider_name`, type.value);
    case 'providerAndAudiences': {
      const { providerName, audiences } = type.value;
      if (!names.has(providerName)) return unknown(`${path}.provider_and_audiences.provider_name`, providerName);
      return ok({ kind: 'provider', provider: providerName, audiences: audiences.length === 0 ? null : new Audiences(audiences) });
    }
    case 'requiresAny':
      return compileMembers('any', type.value.requirements, `${path}.requires_any.requirements`, (member, at) => compileRequirement(member, at, names, depth + 1));
    case 'requiresAll':
      return compileMembers('all', type.value.requirements, `${path}.requires_all.requirements`, (member, at) => compileRequirement(member, at, names, depth + 1));
    case 'allowMissing':
      return ok({ kind: 'optional', providers: [...names], failed: false });
    case 'allowMissingOrFailed':
      return ok({ kind: 'optional', providers: [...names], failed: true });
  }
}

function unknown(path: string, provider: string): Result<never> {
  return fail(path, `"${provider}" is not one of the providers`);
}

function compileMembers(kind: 'any' | 'all', messages: readonly JwtRequirement[], path: string, compile: (message: JwtRequirement, path: string) => Result<Requirement>): Result<Requirement> {
  if (messages.length < 2) return fail(path, 'needs at least two');
  const errors: FieldError[] = [];
  const members: Requirement[] = [];
  for (const [i, message] of messages.entries()) {
    const member = compile(message, `${path}[${i}]`);
    if (member.ok) members.push(member.value);
    else errors.push(...member.error);
  }
  if (errors.length > 0) return { ok: false, error: errors };
  return ok({ kind, members: kind === 'any' ? optionalLast(members) : members });
}

/** As in Envoy: of those that let missing tokens pass the laxest is asked, last, about the tokens of the providers beside it. */
function optionalLast(members: readonly Requirement[]): readonly Requirement[] {
  const others = members.filter(({ kind }) => kind !== 'optional');
  const optional = members.filter((member) => member.kind === 'optional');
  const [first] = optional;
  if (first === undefined) return members;
  const beside = others.flatMap((member) => (member.kind === 'provider' ? [member.provider] : []));
  return [...others, { kind: 'optional', providers: beside.length > 0 ? beside : first.providers, failed: optional.some(({ failed }) => failed) }];
}

/** The names of every provider that the requirement may ask. */
export function providersOf(requirement: Requirement): readonly string[] {
  switch (requirement.kind) {
    case 'none':
      return [];
    case 'provider':
      return [requirement.provider];
    case 'optional':
      return requirement.providers;
    default:
      return requirement.members.flatMap(providersOf);
  }
}
