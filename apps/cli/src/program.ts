import { Command, CommanderError, Help } from 'commander';
import { CliError, exitCode } from './cli-error.ts';
import { commandEnvironment } from './command.ts';
import { commandsFor } from './commands.ts';
import { clientVersion } from './commands/version/client-version.ts';
import type { Output } from './output.ts';

/** Runs one command line; resolves with its exit code. */
export async function main(argv: readonly string[], output: Output): Promise<number> {
  const program = await meltemi(argv, output);
  if (argv.length === 0) {
    output.out(program.helpInformation().trimEnd());
    return exitCode.ok;
  }
  try {
    await program.parseAsync(argv.flatMap(loneWait).flatMap(fixApply), { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : exitCode.ok;
  } catch (cause) {
    if (cause instanceof CommanderError) return cause.exitCode === 0 ? exitCode.ok : exitCode.usage;
    output.err(cause instanceof Error ? cause.message : String(cause));
    return cause instanceof CliError ? cause.code : exitCode.failed;
  }
}

/** `--wait vs reviews`: an option with an optional value takes the next word, which here is no duration but the first argument. */
function loneWait(word: string, at: number, argv: readonly string[]): string[] {
  return word === '--wait' && /^[^-\d]/.test(argv[at + 1] ?? '') ? ['--wait=30s'] : [word];
}

/** `--fix=apply` says in one word what commander needs two flags for. */
function fixApply(word: string): string[] {
  return word === '--fix=apply' ? ['--fix', '--write'] : [word];
}

async function meltemi(argv: readonly string[], output: Output): Promise<Command> {
  const program = new Command('meltemi')
    .description('Runs, inspects and checks a Meltemi mesh: what istioctl is for Istio.')
    .option('--context <file>', 'context file of the mesh (default: the nearest .meltemi/context.json)')
    .version(clientVersion, '--version', 'print the version of this command')
    .exitOverride()
    .showSuggestionAfterError(true)
    .showHelpAfterError('(meltemi --help shows what there is)')
    .configureOutput({ writeOut: (text) => output.out(text.trimEnd()), writeErr: (text) => output.err(text.trimEnd()) })
    .configureHelp(Object.assign(new Help(), { sortSubcommands: false }));
  const environment = commandEnvironment(program, output);
  for (const add of await commandsFor(argv)) add(program, environment);
  return program;
}
