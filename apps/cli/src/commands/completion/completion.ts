import type { Command } from 'commander';
import { kinds } from '@meltemi/config';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';

const shells = ['bash', 'zsh', 'fish'];

/** `meltemi completion bash|zsh|fish`: a script made from the commands there are. */
export const completionCommand: CommandModule = (program, { output }) => {
  program.command('completion')
    .description('print a tab completion script: source <(meltemi completion bash)')
    .argument('<shell>', shells.join(', '))
    .action((shell: string) => {
      const words = tree(program);
      if (shell === 'bash') output.out(bash(words, flagsWithValue(program)));
      else if (shell === 'zsh') output.out(`#compdef meltemi\nautoload -U +X bashcompinit && bashcompinit\n${bash(words, flagsWithValue(program))}`);
      else if (shell === 'fish') output.out(fish(words));
      else throw new CliError(`completion ${shell}: use bash, zsh or fish`, exitCode.usage);
    });
};

/** Commands whose first argument is a kind. */
const kindCommands = new Set(['get', 'delete']);

/** Words that may follow a command path: its subcommands and flags, and kinds where one is asked for. */
function tree(command: Command, path: readonly string[] = []): { path: readonly string[]; words: readonly string[]; description: string }[] {
  const words = [...command.commands.map((sub) => sub.name()), ...(kindCommands.has(path.join(' ')) ? kinds.map((kind) => kind.kind.toLowerCase()) : []), ...(path[0] === 'completion' ? shells : []), ...command.options.flatMap((option) => [option.long, option.short].filter((flag) => flag !== undefined && flag !== null)), '--help'];
  return [{ path, words, description: command.description() }, ...command.commands.flatMap((sub) => tree(sub, [...path, sub.name()]))];
}

/** Flags, of any command, that take a value: the word after one is no command. */
function flagsWithValue(command: Command): string[] {
  const own = command.options.filter((option) => option.required).flatMap((option) => [option.long, option.short].filter((flag) => flag !== undefined && flag !== null));
  return [...new Set([...own, ...command.commands.flatMap(flagsWithValue)])];
}

function bash(words: ReturnType<typeof tree>, valued: readonly string[]): string {
  const cases = words.map(({ path, words: list }) => `    "${path.join(' ')}") words="${list.join(' ')}" ;;`).join('\n');
  return `_meltemi() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" word words="" index
  if [[ "\${COMP_WORDS[COMP_CWORD-1]}" == "-f" || "\${COMP_WORDS[COMP_CWORD-1]}" == "--filename" ]]; then COMPREPLY=($(compgen -f -- "$current")); return; fi
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    if [[ " ${valued.join(' ')} " == *" $word "* ]]; then ((index++)); continue; fi
    [[ "$word" == -* ]] || path="\${path:+$path }$word"
  done
  case "$path" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _meltemi meltemi`;
}

function fish(words: ReturnType<typeof tree>): string {
  return words.filter(({ path }) => path.length > 0).map(({ path, description }) => {
    const before = path.slice(0, -1);
    const condition = before.length === 0 ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${before.at(-1)}`;
    return `complete -c meltemi -f -n '${condition}' -a '${path.at(-1)}' -d '${description.replaceAll("'", '')}'`;
  }).join('\n');
}
