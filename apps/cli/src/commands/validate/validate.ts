import { validateDocuments, type ValidateEntry } from '@meltemi/config';
import { exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { readFiles } from '../../files.ts';
import { outputFormat, print } from '../../output.ts';

/** `meltemi validate -f`: needs no server; exits 0 when every document is valid, else 1. */
export const validateCommand: CommandModule = (program, environment) => {
  program.command('validate')
    .alias('v')
    .description('check files as the mesh would, without one')
    .requiredOption('-f, --filename <files...>', 'files, directories, or - for standard input')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (options: { filename: string[]; output?: string }) => {
      const format = outputFormat(options.output);
      const entries = (await readFiles(options.filename, environment)).flatMap(({ name, text }) => validateDocuments(text, name));
      print(environment.output, format, entries, () => report(entries));
      process.exitCode = entries.every((entry) => entry.valid) ? exitCode.ok : exitCode.failed;
    });
};

function report(entries: readonly ValidateEntry[]): string {
  const lines = entries.flatMap((entry) => {
    const where = `${entry.file}#${entry.document}: ${entry.kind} ${entry.namespace === '' ? '' : `${entry.namespace}/`}${entry.name}`;
    const say = (word: string, each: { path: string; message: string }) => `${word}: ${where}: ${each.path === '' ? '' : `${each.path}: `}${each.message}`;
    return [...entry.errors.map((each) => say('error', each)), ...entry.warnings.map((each) => say('warning', each))];
  });
  const invalid = entries.filter((entry) => !entry.valid).length;
  const summary = entries.length === 0 ? 'No documents found.' : invalid === 0 ? `${entries.length} ${entries.length === 1 ? 'document is' : 'documents are'} valid.` : `${invalid} of ${entries.length} documents are invalid.`;
  return [...lines, summary].join('\n');
}
