import type { CommandModule } from '../../command.ts';
import { findContext } from '../../context.ts';
import { columns, outputFormat, print, type Output } from '../../output.ts';
import { call, connectPilot } from '../../pilot-client.ts';
import { clientVersion } from './client-version.ts';

/** `meltemi version`: the CLI's version, and the control plane's where one runs. */
export const versionCommand: CommandModule = (program, { output }) => {
  program.command('version')
    .description('show the versions of the CLI, the control plane and the data plane')
    .option('--remote <bool>', 'also ask the control plane', 'true')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (options: { remote: string; output?: string }) => {
      const format = outputFormat(options.output);
      const remote = options.remote === 'false' ? undefined : await remoteVersions(program.opts<{ context?: string }>().context, output);
      const value = { clientVersion, ...remote };
      print(output, format, value, () => columns(
        ['COMPONENT', 'VERSION'],
        [['client', clientVersion], ...(remote?.meshVersion ?? []).map((each) => [`control plane (${each.node})`, each.version]), ...(remote?.dataPlaneVersion ?? []).map((each) => [`data plane (${each.proxies} proxies)`, each.version])],
      ));
    });
};

interface RemoteVersions {
  readonly meshVersion: { node: string; version: string }[];
  readonly dataPlaneVersion: { version: string; proxies: number }[];
}

/** Undefined where no mesh runs: the client's version alone is an answer too. */
async function remoteVersions(contextFile: string | undefined, output: Output): Promise<RemoteVersions | undefined> {
  let client;
  try {
    client = await connectPilot(findContext(contextFile));
  } catch {
    return undefined;
  }
  try {
    const version = await call(client.status.version.bind(client.status), {});
    const { proxies, pilots } = await call(client.status.proxyStatus.bind(client.status), { proxyId: '' });
    const counts = new Map<string, number>();
    for (const proxy of proxies) counts.set(proxy.version, (counts.get(proxy.version) ?? 0) + 1);
    const others = pilots.slice(1).map(({ pilot, version: text, error }) => ({ node: pilot, version: error === '' ? text : `${text} (does not answer)` }));
    return { meshVersion: [version, ...others], dataPlaneVersion: [...counts].map(([text, count]) => ({ version: text, proxies: count })) };
  } catch (cause) {
    output.err(cause instanceof Error ? cause.message : String(cause));
    return undefined;
  } finally {
    client.close();
  }
}
