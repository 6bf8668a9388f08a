import type { StringMatch } from '@meltemi/config';
import type { MetadataMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/metadata.ts';
import type { ValueMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/value.ts';
import { claimOrMember, stringValue } from '../features/rbac/matchers.ts';
import { stringMatcher } from './string-matcher.ts';

const prefix = '@request.auth.claims';

/** The claim that a header match of a VirtualService names instead of a header: "@request.auth.claims.a.b" or "@request.auth.claims[a][b]". */
export function claimNamed(header: string): readonly string[] | undefined {
  if (!header.toLowerCase().startsWith(prefix)) return undefined;
  const name = header.slice(prefix.length);
  if (name.startsWith('.') && name.length > 1) return name.slice(1).split('.');
  return name.startsWith('[') && name.endsWith(']') && name.length > 2 ? name.slice(1, -1).split('][') : undefined;
}

/** What a verified token says: a text or a member of a list; an empty match asks that it says anything. */
export function claimMatcher(claim: readonly string[], match: StringMatch): MetadataMatcher {
  const present: ValueMatcher = { matchPattern: { $case: 'presentMatch', value: true } };
  const any = match.exact === undefined && match.prefix === undefined && match.regex === undefined;
  return claimOrMember(claim, any ? present : stringValue(stringMatcher(match)));
}
