import { migrationReport, templateConsequence, type MigratedField, type MigratedObject, type MigrationReport } from '@meltemi/config';
import { exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { readFiles } from '../../files.ts';
import { columns, outputFormat, print } from '../../output.ts';

/** `meltemi migrate DIR…`: needs no server; exits 0 when nothing in the files is unsupported, else 1. */
export const migrateCommand: CommandModule = (program, environment) => {
  program.command('migrate')
    .description('report what of an Istio project works here: every object, every field')
    .argument('<dir...>', 'directories or files, or - for standard input')
    .option('-o, --output <format>', 'table, json or yaml')
    .option('--all', 'show the fields that work, too')
    .addHelpText('after', '\nExits 0 when nothing is unsupported, 1 when something is.')
    .action(async (paths: string[], options: { output?: string; all?: boolean }) => {
      const format = outputFormat(options.output);
      const report = migrationReport(await readFiles(paths, environment));
      print(environment.output, format, report, () => table(report, options.all === true));
      process.exitCode = report.summary.objects.unsupported === 0 ? exitCode.ok : exitCode.failed;
    });
};

function table(report: MigrationReport, all: boolean): string {
  const shown = report.objects.filter((object) => all || object.consequence === templateConsequence || (object.classification !== 'supported' && object.classification !== 'passed over'));
  const rows = shown.flatMap((object) => objectRows(object, all));
  const { objects, fields } = report.summary;
  const summary = [
    `${report.summary.files} files: ${objects.supported} objects supported, ${objects.approximated} approximated, ${objects.unsupported} unsupported; ${objects['passed over']} are none of Istio's and were passed over.`,
    `${fields.supported + fields.approximated + fields.unsupported} fields of Istio's objects: ${fields.supported} supported, ${fields.approximated} approximated, ${fields.unsupported} unsupported.`,
  ];
  return [...(rows.length === 0 ? [] : [columns(['WHERE', 'OBJECT', 'FIELD', '', 'CONSEQUENCE'], rows), '']), ...summary].join('\n');
}

function objectRows(object: MigratedObject, all: boolean): string[][] {
  const name = `${object.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}`.trim();
  const row = (line: number, field: string, { classification, consequence }: Pick<MigratedField, 'consequence'> & { classification: string }): string[] => [`${object.file}:${line}`, name, field, classification, consequence];
  const fields = object.fields.filter((field) => all || (field.classification !== 'supported' && field.consequence !== object.consequence));
  const inside = outermost(fields, all).map((field) => row(field.line, field.field, field));
  return object.consequence === '' && inside.length > 0 ? inside : [row(object.line, '', object), ...inside];
}

// The fields of a message that does not work share its fate: one line is enough.
function outermost(fields: readonly MigratedField[], all: boolean): readonly MigratedField[] {
  if (all) return fields;
  return fields.filter((field) => !fields.some((other) => field.field.length > other.field.length && field.field.startsWith(other.field) && /^[.[]/.test(field.field.slice(other.field.length)) && other.consequence === field.consequence));
}
