import { logLevels } from './log.ts';
import type { OptionSpec } from './options.ts';

/** Flags every program has. A program that declares one of these names itself replaces it (the proxy: --log-level with -l). */
export const standardOptions = [
  { name: 'log-level', type: 'choice', choices: logLevels, default: 'info', description: 'least severe level that is logged', placeholder: 'level' },
  { name: 'log-format', type: 'choice', choices: ['json', 'text'], default: 'json', description: 'one JSON object or one readable line per event' },
  { name: 'log-output', type: 'choice', choices: ['stderr', 'stdout'], default: 'stderr', description: 'where the log goes' },
  { name: 'drain-timeout', type: 'duration', default: '10s', description: 'how long SIGTERM waits for work under way' },
  { name: 'ports-file', type: 'string', placeholder: 'file', description: 'file to write {"pid", "ports"} to once started' },
] as const satisfies readonly OptionSpec[];

/** --admin-listen, or the program's own name for it with --admin-listen as a second one. */
export function adminOptions(defaultListen: string, flag = 'admin-listen'): OptionSpec[] {
  const own: OptionSpec = { name: flag, type: 'address', unix: true, default: defaultListen, description: 'health and metrics over HTTP, and debugging for this machine; unix:/path for a socket of mode 0600' };
  return flag === 'admin-listen' ? [own] : [own, { name: 'admin-listen', type: 'address', unix: true, description: `the same as --${flag}` }];
}
