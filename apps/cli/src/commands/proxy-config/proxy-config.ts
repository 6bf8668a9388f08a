import type { Command } from 'commander';
import type { CommandEnvironment, CommandModule } from '../../command.ts';
import { outputFormat, print } from '../../output.ts';
import { fetchAdmin, proxyAdmin } from './admin.ts';
import { clusterView, endpointView, listenerView, routeView, secretView, type View } from './views.ts';

interface ProxyConfigOptions {
  readonly admin?: string;
  readonly output?: string;
  readonly name?: string;
  readonly fqdn?: string;
  readonly port?: string;
  readonly direction?: string;
  readonly subset?: string;
  readonly cluster?: string;
  readonly address?: string;
  readonly status?: string;
}

/** Sub-commands, each a view of the proxy's admin pages. */
const views: readonly View[] = [listenerView, routeView, clusterView, endpointView, secretView];

/** `meltemi proxy-config <what> <proxy>`: what a proxy runs, read from its admin port. */
export const proxyConfigCommand: CommandModule = (program, environment) => {
  const parent = program.command('proxy-config').alias('pc').description('show what a proxy runs: listeners, routes, clusters, endpoints, secrets');
  for (const view of views) addView(parent, view, environment);
  proxyArgument(parent.command('all').description('everything the proxy runs (its config dump)'))
    .action(async (proxy: string | undefined, options: ProxyConfigOptions) => {
      const dump = await fetchAdmin(proxyAdmin(proxy, options.admin, environment.context), '/config_dump?include_eds');
      print(environment.output, options.output === undefined ? 'json' : outputFormat(options.output), dump, () => JSON.stringify(dump, null, 2));
    });
};

function addView(parent: Command, view: View, { output, context }: CommandEnvironment): void {
  const command = proxyArgument(parent.command(view.name).aliases([...view.aliases]).description(view.description));
  for (const [flag, description] of view.filters) command.option(`--${flag} <${flag}>`, description);
  command.action(async (proxy: string | undefined, options: ProxyConfigOptions) => {
    const format = outputFormat(options.output);
    const entries = view.entries(await fetchAdmin(proxyAdmin(proxy, options.admin, context), view.path)).filter((entry) => view.filters.every(([flag]) => matches(entry.facts[flag], options[flag as keyof ProxyConfigOptions])));
    print(output, format, entries.map((entry) => entry.value), () => view.table(entries));
  });
}

function proxyArgument(command: Command): Command {
  return command
    .argument('[proxy]', '<pod>[.<namespace>], a Deployment\'s name, or the beginning of either')
    .option('--admin <url>', 'the proxy\'s admin address, such as http://127.0.0.1:15000 or unix:/run/proxy/admin.sock, instead of a proxy of the mesh')
    .option('-o, --output <format>', 'table, json or yaml');
}

function matches(fact: string | undefined, wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  return fact !== undefined && (fact === wanted || (fact.toLowerCase() === wanted.toLowerCase()));
}

