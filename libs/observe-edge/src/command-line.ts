import { Command, CommanderError, Option } from 'commander';
import { environmentName, type OptionSpec } from './options.ts';

export interface CommandLineSpec {
  readonly name: string;
  readonly description: string;
  readonly version: string;
  readonly options: readonly OptionSpec[];
  /** Name of the positional arguments; without it there may be none. */
  readonly operands?: string;
}

/** What the command line said, or a text to print and the exit code: 0 for --help and --version, 2 for a mistake. */
export type CommandLine =
  | { readonly kind: 'run'; readonly flags: Readonly<Record<string, readonly string[]>>; readonly operands: readonly string[] }
  | { readonly kind: 'exit'; readonly code: number; readonly out: string; readonly error: string };

/** Reads `argv` (without node and script) with commander, which knows suggestions and help layout; values stay texts. */
export function parseCommandLine(spec: CommandLineSpec, argv: readonly string[]): CommandLine {
  const flags: Record<string, string[]> = {};
  let out = '';
  let error = '';
  const command = new Command(spec.name)
    .description(spec.description)
    .version(`${spec.name} ${spec.version}`, '--version', 'print the version and exit')
    .helpOption('-h, --help', 'print this help and exit')
    .showSuggestionAfterError(true)
    .allowExcessArguments(false)
    .configureHelp({ helpWidth: 120, optionDescription: ({ description }) => description })
    .configureOutput({ writeOut: (text) => (out += text), writeErr: (text) => (error += text) })
    .exitOverride();
  for (const option of spec.options) command.addOption(commanderOption(option, flags));
  if (spec.operands !== undefined) command.argument(`[${spec.operands}...]`);
  try {
    command.parse(spellOutSwitches(argv, spec.options), { from: 'user' });
    return { kind: 'run', flags, operands: command.args };
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    const code = cause.exitCode === 0 ? 0 : 2;
    return { kind: 'exit', code, out, error: code === 0 ? '' : `${error}Try ${spec.name} --help.\n` };
  }
}

/** `--loud file` must not read "file" as the value of the switch: a bare switch becomes `--loud=true`, unless true or false follows. */
function spellOutSwitches(argv: readonly string[], options: readonly OptionSpec[]): string[] {
  const switches = new Map<string, string>();
  for (const { name, short, type } of options) {
    if (type !== 'bool') continue;
    switches.set(`--${name}`, name);
    if (short !== undefined) switches.set(`-${short}`, name);
  }
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  return argv.map((word, index) => {
    const name = index < end ? switches.get(word) : undefined;
    const next = argv[index + 1];
    return name === undefined || next === 'true' || next === 'false' ? word : `--${name}=true`;
  });
}

function commanderOption(spec: OptionSpec, flags: Record<string, string[]>): Option {
  const value = spec.type === 'bool' ? '[true|false]' : `<${spec.placeholder ?? placeholderOf(spec)}>`;
  const option = new Option(`${spec.short ? `-${spec.short}, ` : ''}--${spec.name} ${value}`, describe(spec)).preset('true');
  option.argParser((text: string) => {
    (flags[spec.name] ??= []).push(text);
    return text;
  });
  return option;
}

function placeholderOf(spec: OptionSpec): string {
  if (spec.type === 'choice') return spec.choices.join('|');
  return { string: 'text', duration: 'duration', bool: 'bool', address: 'host:port', list: 'a,b,…', int: 'number' }[spec.type];
}

function describe(spec: OptionSpec): string {
  const notes = [spec.default === undefined ? undefined : `default ${spec.default}`, spec.required ? 'required' : undefined, `env ${[environmentName(spec.name), ...(spec.env ?? [])].join(', ')}`];
  return `${spec.description} (${notes.filter((note) => note !== undefined).join('; ')})`;
}
