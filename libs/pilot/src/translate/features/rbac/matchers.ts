import { HeaderMatcher } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { MetadataMatcher, type MetadataMatcher_PathSegment } from '@meltemi/api/gen/envoy/type/matcher/v3/metadata.ts';
import { StringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import type { ValueMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/value.ts';
import { create, regex } from '../../message.ts';

type Pattern = NonNullable<StringMatcher['matchPattern']>;

const matcher = (matchPattern: Pattern, ignoreCase = false): StringMatcher => create(StringMatcher, { matchPattern, ignoreCase });

export const exactly = (value: string): StringMatcher => matcher({ $case: 'exact', value });
export const beginsWith = (value: string): StringMatcher => matcher({ $case: 'prefix', value });
export const endsWith = (value: string): StringMatcher => matcher({ $case: 'suffix', value });
export const fits = (pattern: string): StringMatcher => matcher({ $case: 'safeRegex', value: regex(pattern) });

/** Any value but none. */
export const something = (): StringMatcher => fits('.+');

/** A policy's value: "*" is anything, "*a" a suffix, "a*" a prefix, all else exact. `before` stands before it in what is matched. */
export function valueMatcher(value: string, before = ''): StringMatcher {
  if (value === '*') return something();
  if (value.startsWith('*')) return before === '' ? endsWith(value.slice(1)) : fits(`${before}.*${quoted(value.slice(1))}`);
  return value.endsWith('*') ? beginsWith(before + value.slice(0, -1)) : exactly(before + value);
}

/** The same over a header; "*" asks for presence. */
export function headerValue(name: string, value: string, ignoreCase = false): HeaderMatcher {
  if (value === '*') return create(HeaderMatcher, { name, headerMatchSpecifier: { $case: 'presentMatch', value: true } });
  return create(HeaderMatcher, { name, headerMatchSpecifier: { $case: 'stringMatch', value: { ...valueMatcher(value), ignoreCase } } });
}

/** Dynamic metadata at a path of keys. */
export function metadataAt(filter: string, keys: readonly string[], value: ValueMatcher): MetadataMatcher {
  return create(MetadataMatcher, { filter, path: keys.map((key): MetadataMatcher_PathSegment => ({ segment: { $case: 'key', value: key } })), value });
}

const jwtFilter = 'envoy.filters.http.jwt_authn';
/** Under which the jwt_authn filter leaves what a token says. */
export const jwtPayload = 'payload';

/** A claim that is a text. */
export function claimText(claim: string, text: StringMatcher): MetadataMatcher {
  return metadataAt(jwtFilter, [jwtPayload, claim], stringValue(text));
}

/** A claim, nested or not, that is a text or a list of them. */
export function claimOrMember(claims: readonly string[], value: ValueMatcher): MetadataMatcher {
  return metadataAt(jwtFilter, [jwtPayload, ...claims], orValue([listValue(value), value]));
}

export function stringValue(text: StringMatcher): ValueMatcher {
  return { matchPattern: { $case: 'stringMatch', value: text } };
}

/** One member of a list. */
export function listValue(value: ValueMatcher): ValueMatcher {
  return { matchPattern: { $case: 'listMatch', value: { matchPattern: { $case: 'oneOf', value } } } };
}

export function anyValue(values: readonly ValueMatcher[]): ValueMatcher {
  const [only] = values;
  return values.length === 1 && only ? only : orValue(values);
}

function orValue(values: readonly ValueMatcher[]): ValueMatcher {
  return { matchPattern: { $case: 'orMatch', value: { valueMatchers: [...values] } } };
}

/** A text in a regular expression of RE2. */
export function quoted(text: string): string {
  return text.replaceAll(/[\\.+*?()|[\]{}^$]/g, String.raw`\$&`);
}
