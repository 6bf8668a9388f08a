import type { HeaderMatcher } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { MetadataMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/metadata.ts';
import type { StringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import type { ValueMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/value.ts';
import { toWire } from '@meltemi/http';
import type { Cidr } from '@meltemi/match';
import { rangeKey } from './address-key.ts';
import { caseless, headerDimension, metadataDimension, pathDimension, principalDimension } from './dimensions.ts';
import { insufficient, needOf, needsOfAll, needsOfAny, noNeeds, type Atom, type Dimension, type Needs } from './need.ts';

/** What a string matcher needs of a value; none when it cannot be looked up. */
export function textNeeds(dimension: Dimension, matcher: StringMatcher | undefined): Needs {
  const pattern = matcher?.matchPattern;
  switch (pattern?.$case) {
    case 'exact':
    case 'prefix':
    case 'suffix': {
      // every value begins and ends with nothing
      if (pattern.$case !== 'exact' && pattern.value === '') return noNeeds;
      const folded = matcher?.ignoreCase === true;
      return needOf({ dimension: folded ? caseless(dimension) : dimension, comparison: pattern.$case, value: folded ? pattern.value.toLowerCase() : pattern.value });
    }
    default:
      return noNeeds;
  }
}

/** Literal text in a regular expression, with what is quoted in it, but no "/". */
const literal = String.raw`((?:[^\\.+*?()|[\]{}^$/]|\\[\\.+*?()|[\]{}^$-])+)`;
/** As Istio has namespaces and service accounts. */
const namespaceForm = new RegExp(String.raw`^\.\*/(ns)/${literal}/\.\*$`);
const accountForm = new RegExp(String.raw`^spiffe://\.\+/ns/${literal}/\(\.\+/\|\)(sa)/${literal}\(/\.\+\)\?$`);

/** What a matcher of a certificate's names needs; of the regular expressions those that Istio has for namespaces and service accounts. */
export function principalNeeds(matcher: StringMatcher | undefined): Needs {
  const pattern = matcher?.matchPattern;
  if (pattern?.$case !== 'safeRegex') return textNeeds(principalDimension, matcher);
  const { regex } = pattern.value;
  const [, ns, name] = namespaceForm.exec(regex) ?? [];
  if (ns !== undefined && name !== undefined) return insufficient(needOf(pair(ns, name)));
  const [, namespace, sa, account] = accountForm.exec(regex) ?? [];
  if (namespace === undefined || sa === undefined || account === undefined) return noNeeds;
  return needsOfAll([needOf(pair(sa, account)), needOf(pair('ns', namespace))]);
}

function pair(key: string, quoted: string): Atom {
  return { dimension: principalDimension, comparison: 'pair', value: `/${key}/${quoted.replaceAll(/\\(.)/g, '$1')}` };
}

export function headerNeeds(matcher: HeaderMatcher): Needs {
  const specifier = matcher.headerMatchSpecifier;
  if (matcher.invertMatch || matcher.treatMissingHeaderAsEmpty) return noNeeds;
  const dimension = headerDimension(matcher.name);
  const bare = (comparison: Atom['comparison'], value: string) => (comparison !== 'exact' && value === '' ? noNeeds : needOf({ dimension, comparison, value: toWire(value) }));
  switch (specifier?.$case) {
    case 'exactMatch':
      return bare('exact', specifier.value);
    case 'prefixMatch':
      return bare('prefix', specifier.value);
    case 'suffixMatch':
      return bare('suffix', specifier.value);
    case 'stringMatch':
      return textNeeds(dimension, bytesOf(specifier.value));
    default:
      return noNeeds;
  }
}

/** Of fields, whose values are bytes. */
function bytesOf(matcher: StringMatcher): StringMatcher {
  const pattern = matcher.matchPattern;
  return pattern?.$case === 'exact' || pattern?.$case === 'prefix' || pattern?.$case === 'suffix' ? { ...matcher, matchPattern: { $case: pattern.$case, value: toWire(pattern.value) } } : matcher;
}

export function metadataNeeds(matcher: MetadataMatcher): Needs {
  return matcher.invert ? noNeeds : insufficient(valueNeeds(metadataDimension(matcher), matcher.value));
}

function valueNeeds(dimension: Dimension, matcher: ValueMatcher | undefined): Needs {
  const pattern = matcher?.matchPattern;
  switch (pattern?.$case) {
    case 'stringMatch':
      return textNeeds(dimension, pattern.value);
    case 'orMatch':
      return needsOfAny(pattern.value.valueMatchers.map((member) => valueNeeds(dimension, member)));
    case 'listMatch': {
      const one = pattern.value.matchPattern?.value;
      // a list within a list is not among the values
      return one?.matchPattern?.$case === 'stringMatch' ? textNeeds(dimension, one.matchPattern.value) : noNeeds;
    }
    default:
      return noNeeds;
  }
}

export function rangeNeeds(dimension: Dimension, { bytes, length }: Cidr): Needs {
  return length === 0 ? noNeeds : needOf({ dimension, comparison: 'range', value: rangeKey(bytes, length) });
}

/** What stands before the first operator or variable of a URI template. */
export function templateNeeds(template: string): Needs {
  const operator = template.search(/[*{]/);
  const value = operator < 0 ? template : template.slice(0, operator);
  return value.length < 2 ? noNeeds : insufficient(needOf({ dimension: pathDimension, comparison: operator < 0 ? 'exact' : 'prefix', value }));
}
