export type { CidrSet, FieldSource, Fraction, HeaderMatch, MetadataMatch, QueryMatch, RegexRewrite, SafeRegex, StringMatch } from './types.ts';
export { compileRegexMatch, compileStringMatcher, stringMatch } from './string-match.ts';
export { compileRegex, compileRegexRewrite, maxPatternLength } from './safe-regex.ts';
export { compileAll, compileHeaderMatcher, compileHeaderMatchers, compileQueryMatcher } from './header-match.ts';
export { always, compileFraction, fraction, never, percentFraction } from './fraction.ts';
export { compileCidr, compileCidrs, formatIp, inCidr, parseIp, type Cidr } from './ip.ts';
export { compileMetadataMatcher, metadataAt } from './metadata-match.ts';
export { compileUriTemplate } from './uri-template.ts';
export { celReason, compileCel, type CelExpression } from './cel/compile.ts';
