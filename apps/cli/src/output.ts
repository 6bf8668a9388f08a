import Table from 'cli-table3';
import { stringify } from 'yaml';
import { CliError, exitCode } from './cli-error.ts';

export const outputFormats = ['table', 'json', 'yaml'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** Where a command's words go: results to `out`, everything else to `err`, so that `-o json` is JSON and nothing else. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

export const processOutput: Output = {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
};

export function outputFormat(text: string | undefined): OutputFormat {
  const format = (text ?? 'table').toLowerCase();
  if ((outputFormats as readonly string[]).includes(format)) return format as OutputFormat;
  if (format === 'short') return 'table';
  throw new CliError(`-o ${text}: use ${outputFormats.join(', ')}`, exitCode.usage);
}

/** The value as JSON or YAML, or else what `table` makes of it. */
export function print(output: Output, format: OutputFormat, value: unknown, table: () => string): void {
  if (format === 'json') output.out(JSON.stringify(value, null, 2));
  else if (format === 'yaml') output.out(stringify(value, { aliasDuplicateObjects: false }).trimEnd());
  else output.out(table());
}

/** Columns as kubectl and istioctl align them: no borders. */
export function columns(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const none = { 'top': '', 'top-mid': '', 'top-left': '', 'top-right': '', 'bottom': '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '', 'left': '', 'left-mid': '', 'mid': '', 'mid-mid': '', 'right': '', 'right-mid': '', 'middle': '   ' };
  const table = new Table({ chars: none, style: { 'padding-left': 0, 'padding-right': 0, 'head': [], 'border': [] } });
  table.push([...head], ...rows.map((row) => [...row]));
  return table.toString().split('\n').map((line) => line.trimEnd()).join('\n');
}
