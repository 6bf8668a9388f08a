import { writeFileSync } from 'node:fs';
import { fixTexts, reaches, unifiedDiff, type AnalysisOptions, type Level, type SourceText } from '@meltemi/config/analysis';
import { exitCode } from '../../cli-error.ts';
import type { Output } from '../../output.ts';

export interface FixOptions extends AnalysisOptions {
  readonly failure: Level;
  /** Change the files, instead of only printing the patch. */
  readonly write: boolean;
}

/** Prints the patch that mends the files (for `git apply` or `patch -p1`); what it says goes to standard error. The exit code is about what is left. */
export function fixFiles(texts: readonly SourceText[], { failure, write, ...options }: FixOptions, output: Output): void {
  const { changed, fixed, left } = fixTexts(texts, options);
  for (const { name, before, after } of changed) {
    output.out(unifiedDiff(name, before, after));
    if (write) writeFileSync(name, after);
  }
  for (const { code, origin, message } of fixed) output.err(`${write ? 'Mended' : 'The patch mends'} ${code} (${origin}) ${message}`);
  const failing = left.filter(({ level }) => reaches(level, failure));
  output.err(`${fixed.length === 0 ? 'Nothing here has one obvious remedy' : `${fixed.length} mended in ${changed.length} ${changed.length === 1 ? 'file' : 'files'}${write ? '' : ' by the patch (--write applies it)'}`}; ${left.length} left.`);
  process.exitCode = failing.length > 0 ? exitCode.foundIssues : exitCode.ok;
}
