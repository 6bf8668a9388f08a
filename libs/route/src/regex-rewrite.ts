import type { RegexMatchAndSubstitute } from '@meltemi/api/gen/envoy/type/matcher/v3/regex.ts';
import { compileRegexRewrite, type RegexRewrite } from '@meltemi/match';
import type { Report } from './report.ts';

/** Compiles a RegexMatchAndSubstitute; null when refused. */
export function compileRewrite(rewrite: RegexMatchAndSubstitute, path: string, report: Report): RegexRewrite | null {
  const compiled = compileRegexRewrite(rewrite.pattern?.regex ?? '', rewrite.substitution);
  if (compiled.ok) return compiled.value;
  report.refuse(path, compiled.error);
  return null;
}
