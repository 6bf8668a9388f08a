export type { CidrSet, FieldSource, Fraction, HeaderMatch, QueryMatch, SafeRegex, StringMatch } from './types.ts';
