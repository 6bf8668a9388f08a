import { analyzers, type AnalysisMessage, type Level } from '@meltemi/config/analysis';
import { print, type Output } from '../../output.ts';
import type { AnalyzeFormat } from './options.ts';

export interface PrintOptions {
  readonly format: AnalyzeFormat;
  readonly color: boolean;
}

/** Messages as istioctl prints them: a line each, or a list for programs. */
export function printMessages(output: Output, messages: readonly AnalysisMessage[], { format, color }: PrintOptions): void {
  if (format !== 'log') print(output, format, messages.map(json), () => '');
  else if (messages.length > 0) output.out(messages.map((message) => line(message, color)).join('\n'));
}

function json({ code, level, origin, message, file, line: at, cluster }: AnalysisMessage): object {
  return { code, level, origin, message, file, line: at, ...(cluster === '' ? {} : { cluster }) };
}

/** "Error [IST0101] (VirtualService reviews.default a.yaml:12) …". */
function line({ code, level, origin, message, file, line: at, cluster }: AnalysisMessage, color: boolean): string {
  const where = file === '' ? '' : ` ${file}:${at}`;
  return `${color ? paint(level) : level} [${code}]${cluster === '' ? '' : ` [cluster-${cluster}]`} (${origin}${where}) ${message}`;
}

const colors: Readonly<Record<Level, number>> = { Error: 31, Warning: 33, Info: 36 };

function paint(level: Level): string {
  return `\u001b[${colors[level]}m${level}\u001b[0m`;
}

/** Every analyzer and what it is about. */
export function analyzerList(): string {
  return analyzers.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, description }) => `* ${name}:\n    ${description}`).join('\n');
}

/** Colours are for people: on a terminal that has them, unless --color says otherwise. */
export function wantsColor(flag: string | boolean | undefined, env: NodeJS.ProcessEnv = process.env): boolean {
  if (flag !== undefined) return flag === true || flag === 'true';
  return process.stdout.isTTY === true && env['TERM'] !== 'dumb' && (env['NO_COLOR'] ?? '') === '';
}
