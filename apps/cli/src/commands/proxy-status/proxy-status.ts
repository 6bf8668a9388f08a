import type { ProxyState } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { CliError } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { missingPilots } from '../../distribution.ts';
import { columns, outputFormat, print } from '../../output.ts';
import { call, connectPilot } from '../../pilot-client.ts';

const types = [
  ['CDS', 'type.googleapis.com/envoy.config.cluster.v3.Cluster'],
  ['LDS', 'type.googleapis.com/envoy.config.listener.v3.Listener'],
  ['EDS', 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment'],
  ['RDS', 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration'],
] as const;

/** `meltemi proxy-status`: which proxies have the newest configuration, as istioctl shows it. */
export const proxyStatusCommand: CommandModule = (program, { output, context }) => {
  program.command('proxy-status').alias('ps')
    .description('show which proxies have the newest configuration (SYNCED, STALE, NOT SENT, ERROR)')
    .argument('[proxy]', 'only this proxy: <pod>[.<namespace>], or the beginning of it')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (proxy: string | undefined, options: { output?: string }) => {
      const client = await connectPilot(context());
      try {
        const reply = await call(client.status.proxyStatus.bind(client.status), { proxyId: '' });
        const shown = proxy === undefined ? reply.proxies : reply.proxies.filter((each) => each.proxyId === proxy || each.proxyId.startsWith(proxy));
        if (proxy !== undefined && shown.length === 0) throw new CliError(`No proxy ${proxy} is connected. Connected are: ${[reply.proxies.map((each) => each.proxyId).join(', ') || 'none', ...missingPilots(reply.pilots)].join('\n')}`);
        print(output, outputFormat(options.output), shown, () => table(shown));
        for (const each of shown) for (const type of each.types) if (type.error !== '') output.err(`${each.proxyId} refused ${short(type.typeUrl)}: ${type.error}`);
        for (const line of missingPilots(reply.pilots)) output.err(line);
        const count = reply.quarantinedObjects;
        if (count > 0) output.err(`${count} ${count === 1 ? 'object is' : 'objects are'} quarantined: meltemi get --quarantined says which and why.`);
        if (reply.sourceProblems > 0) output.err(`The config sources have ${reply.sourceProblems} ${reply.sourceProblems === 1 ? 'problem' : 'problems'}: meltemi get says where.`);
      } finally {
        client.close();
      }
    });
};

function table(proxies: readonly ProxyState[]): string {
  if (proxies.length === 0) return 'No proxies are connected.';
  return columns(
    ['NAME', 'CLUSTER', ...types.map(([name]) => name), 'PILOT', 'VERSION'],
    proxies.map((proxy) => [proxy.proxyId, proxy.clusterId, ...types.map(([, url]) => proxy.types.find((type) => type.typeUrl === url)?.state ?? 'NOT SENT'), proxy.pilot, proxy.version]),
  );
}

function short(typeUrl: string): string {
  return types.find(([, url]) => url === typeUrl)?.[0] ?? typeUrl;
}
