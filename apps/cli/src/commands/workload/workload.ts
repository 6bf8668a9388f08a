import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatFieldErrors, parseDurationMs } from '@meltemi/base';
import { workloadFiles, type LoadedMesh } from '@meltemi/explain';
import { mintJoinToken, rootsOf } from '@meltemi/identity-edge';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandEnvironment, CommandModule } from '../../command.ts';
import { meshFromFiles, warnSetAside } from '../explain/mesh-files.ts';
import { meshFromPilot } from '../explain/live-mesh.ts';

/** istioctl's flags under istioctl's names. */
interface ConfigureOptions {
  readonly file?: string[];
  readonly meshConfig?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly output: string;
  readonly clusterID: string;
  readonly discoveryAddress?: string;
  readonly citadelAddress?: string;
  readonly internalIP?: string;
  readonly externalIP?: string;
  readonly ingressIP?: string;
  readonly autoregister?: true;
  readonly captureDns?: true;
  readonly tokenDuration: string;
}

/** `meltemi workload entry configure`: the files that a machine outside of Kubernetes starts its proxy with. */
export const workloadCommand: CommandModule = (program, environment) => {
  const entry = program.command('workload').description('workloads outside of Kubernetes').command('entry').description('one machine of a WorkloadGroup');
  entry.command('configure')
    .description('write what a machine of a WorkloadGroup starts its proxy with (meltemi-proxy --workload-dir): mesh.yaml, cluster.env, root-cert.pem, istio-token and hosts')
    .option('-f, --file <files...>', 'files or directories with the WorkloadGroup, and ProxyConfigs (default: the objects of the running mesh)')
    .option('--mesh-config <file>', 'MeshConfig, with -f (default: the ConfigMap istio among the files)')
    .option('--name <name>', 'the WorkloadGroup (default: the only one of the files)')
    .option('-n, --namespace <namespace>', 'its namespace')
    .requiredOption('-o, --output <folder>', 'where the files go')
    .option('--clusterID <id>', 'the cluster that the machine belongs to', 'Kubernetes')
    .option('--discovery-address <address>', "host:port of pilot's xDS port (default: the mesh's discoveryAddress, else istiod.istio-system.svc:15012)")
    .option('--citadel-address <address>', 'host:port of citadel, also for the roots (default: where pilot is; then no root-cert.pem is written: the token names the root)')
    .option('--internalIP <address>', "the machine's own address (default: its first one)")
    .option('--externalIP <address>', 'its address for other networks')
    .option('--ingressIP <address>', 'where the host of the discovery address is, for the hosts file')
    .option('--autoregister', 'become a WorkloadEntry of the group while connected')
    .option('--capture-dns', 'answer names of the mesh on the machine')
    .option('--tokenDuration <duration>', 'how long the token may be used', '1h')
    .action((options: ConfigureOptions) => configure(options, environment));
};

async function configure(options: ConfigureOptions, environment: CommandEnvironment): Promise<void> {
  const { file, output: folder } = options;
  const ttl = parseDurationMs(/^\d+$/.test(options.tokenDuration) ? `${options.tokenDuration}s` : options.tokenDuration);
  if (!ttl.ok) throw new CliError('--tokenDuration: must be a duration like 1h, or seconds', exitCode.usage);
  const mesh = file === undefined ? await meshFromPilot(environment) : await meshFromFiles(file, options, environment);
  warnSetAside(mesh.setAside.filter(({ origin }) => origin.kind === 'WorkloadGroup' || origin.kind === 'ProxyConfig'), environment);
  const made = workloadFiles(mesh, {
    ...groupOf(mesh, options), clusterId: options.clusterID, discoveryAddress: options.discoveryAddress ?? '', citadelAddress: options.citadelAddress ?? '',
    internalIp: options.internalIP ?? '', externalIp: options.externalIP ?? '', ingressIp: options.ingressIP ?? '', autoRegister: options.autoregister === true, captureDns: options.captureDns === true,
  });
  if (!made.ok) throw new CliError(formatFieldErrors(made.error));
  const token = await mint(made.value.identity, ttl.value, environment);
  const secrets = token === undefined ? [] : [['istio-token', `${token}\n`], ...(await rootsFile(options.citadelAddress, token))] as const;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, text] of [...made.value.files, ...secrets]) writeFileSync(join(folder, name), text, { mode: name === 'istio-token' ? 0o600 : 0o644 });
  const { output } = environment;
  output.out(`Wrote ${[...made.value.files.keys(), ...secrets.map(([name]) => name)].join(', ')} to ${folder}, for ${made.value.identity}.`);
  output.out(`On the machine: meltemi-proxy --workload-dir ${folder}`);
  if (token === undefined) output.err('No token: the context names no citadelSocket. Make one where citadel runs (meltemi token create) and put it into the folder as istio-token.');
}

/** The group that is asked for, or the only one there is. */
function groupOf(mesh: LoadedMesh, { name, namespace }: ConfigureOptions): { readonly name: string; readonly namespace: string } {
  const fits = mesh.configs.filter(({ key }) => key.kind === 'WorkloadGroup' && (name === undefined || key.name === name) && (namespace === undefined || key.namespace === namespace));
  const [first] = fits;
  if (first && fits.length === 1) return first.key;
  const wanted = [...(name === undefined ? [] : [`named ${name}`]), ...(namespace === undefined ? [] : [`in namespace ${namespace}`])].join(' ');
  throw new CliError(first ? `Which WorkloadGroup? There are ${fits.map(({ key }) => `${key.namespace}/${key.name}`).join(', ')}: say --name and -n.` : `There is no WorkloadGroup${wanted === '' ? '' : ` ${wanted}`}.`);
}

async function mint(identity: string, ttlMs: number, { context }: CommandEnvironment): Promise<string | undefined> {
  const socket = contextOrNone(context)?.citadelSocket;
  return socket === undefined ? undefined : mintJoinToken(socket, identity, { ttlSeconds: Math.ceil(ttlMs / 1000) });
}

/** Files need no running mesh. */
function contextOrNone(context: CommandEnvironment['context']): ReturnType<CommandEnvironment['context']> | undefined {
  try {
    return context();
  } catch (cause) {
    if (cause instanceof CliError) return undefined;
    throw cause;
  }
}

async function rootsFile(citadelAddress: string | undefined, token: string): Promise<readonly (readonly [string, string])[]> {
  if (citadelAddress === undefined) return [];
  const roots = await rootsOf(citadelAddress, token);
  if (!roots.ok) throw new CliError(`The roots of the mesh cannot be had: ${formatFieldErrors(roots.error)}`);
  return [['root-cert.pem', roots.value]];
}
