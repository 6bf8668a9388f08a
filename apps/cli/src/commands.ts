import type { CommandModule } from './command.ts';

interface Entry {
  /** Its name, then its aliases. */
  readonly names: readonly string[];
  readonly load: () => Promise<CommandModule>;
}

/** Every command, in the order of --help. Each is loaded when it is asked for: starting up is most of what a short command costs. */
const commands: readonly Entry[] = [
  { names: ['apply'], load: async () => (await import('./commands/apply/apply.ts')).applyCommand },
  { names: ['delete'], load: async () => (await import('./commands/delete/delete.ts')).deleteCommand },
  { names: ['get'], load: async () => (await import('./commands/get/get.ts')).getCommand },
  { names: ['wait'], load: async () => (await import('./commands/wait/wait.ts')).waitCommand },
  { names: ['explain'], load: async () => (await import('./commands/explain/explain.ts')).explainCommand },
  { names: ['diff'], load: async () => (await import('./commands/diff/diff.ts')).diffCommand },
  { names: ['test'], load: async () => (await import('./commands/test/test.ts')).testCommand },
  { names: ['validate'], load: async () => (await import('./commands/validate/validate.ts')).validateCommand },
  { names: ['authz'], load: async () => (await import('./commands/authz/authz.ts')).authzCommand },
  { names: ['analyze'], load: async () => (await import('./commands/analyze/analyze.ts')).analyzeCommand },
  { names: ['migrate'], load: async () => (await import('./commands/migrate/migrate.ts')).migrateCommand },
  { names: ['proxy-status', 'ps'], load: async () => (await import('./commands/proxy-status/proxy-status.ts')).proxyStatusCommand },
  { names: ['proxy-config', 'pc'], load: async () => (await import('./commands/proxy-config/proxy-config.ts')).proxyConfigCommand },
  { names: ['intercept'], load: async () => (await import('./commands/intercept/intercept.ts')).interceptCommand },
  { names: ['ca'], load: async () => (await import('./commands/ca/ca.ts')).caCommand },
  { names: ['workload'], load: async () => (await import('./commands/workload/workload.ts')).workloadCommand },
  { names: ['token'], load: async () => (await import('./commands/token/token.ts')).tokenCommand },
  { names: ['auth'], load: async () => (await import('./commands/auth/auth.ts')).authCommand },
  { names: ['version'], load: async () => (await import('./commands/version/version.ts')).versionCommand },
  // Its script is made from all the others.
  { names: [], load: async () => (await import('./commands/completion/completion.ts')).completionCommand },
];

/** The command that the command line names; all of them where it names none, for help and suggestions. */
export function commandsFor(argv: readonly string[]): Promise<readonly CommandModule[]> {
  const named = commands.find(({ names }) => names.includes(argv[firstWord(argv)] ?? ''));
  return Promise.all((named ? [named] : commands).map(({ load }) => load()));
}

function firstWord(argv: readonly string[]): number {
  let at = 0;
  while (argv[at]?.startsWith('-')) at += argv[at] === '--context' ? 2 : 1;
  return at;
}
