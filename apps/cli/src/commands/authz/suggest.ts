import type { Command } from 'commander';
import { parseDurationMs } from '@meltemi/base';
import {
  defaultThresholds, featuresFrom, holds, merged, MeshViews, prove, readAccesses, readAccessLog, suggest, suggestionText, withAssumedPods, type LoadedMesh, type Observation, type Plaintext, type SuggestOptions,
} from '@meltemi/explain';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandEnvironment } from '../../command.ts';
import { outputFormat, print } from '../../output.ts';
import { meshFromPilot } from '../explain/live-mesh.ts';
import { meshFromFiles, textOf, warnSetAside } from '../explain/mesh-files.ts';

interface Options {
  readonly namespace?: string;
  readonly fromLog: string[];
  readonly filename?: string[];
  readonly since?: string;
  readonly minRequests: string;
  readonly withoutDoubtful?: true;
  readonly methodsOnly?: true;
  readonly callersOnly?: true;
  readonly hosts?: true;
  readonly plaintext: string;
  readonly denyAll?: true;
  readonly dryRun?: true;
  readonly maxIds: string;
  readonly maxWords: string;
  readonly maxPatterns: string;
  readonly output: string;
}

/** `meltemi authz suggest`: exits 0 with policies whose proof holds, 1 when it does not. */
export function addSuggest(parent: Command, environment: CommandEnvironment): void {
  parent.command('suggest')
    .description('suggest least-privilege AuthorizationPolicies from observed traffic, with proof that none of it would be refused')
    .option('-n, --namespace <namespace>', 'only for workloads of this namespace')
    .option('--from-log <[workload=]file>', 'a proxy\'s access log in JSON instead of what telemetry keeps; may be repeated', (one: string, all: string[]) => [...all, one], [])
    .option('-f, --filename <files...>', 'files or directories of the mesh\'s objects, with --from-log (default: the live mesh)')
    .option('--since <duration>', 'only what was seen lately, such as 1h')
    .option('--min-requests <n>', 'leave out what was seen less often', '1')
    .option('--without-doubtful', 'leave out what the application only ever answered with 4xx')
    .option('--methods-only', 'callers, ports and methods, no paths')
    .option('--callers-only', 'callers and ports alone')
    .option('--hosts', 'name hosts, too')
    .option('--plaintext <what>', 'workloads that callers without a certificate reach: keep (suggest nothing for them), refuse those callers, or name them by their address', 'keep')
    .option('--deny-all', 'refuse everything else in these namespaces, too')
    .option('--dry-run', 'policies with istio.io/dry-run: watched by metrics and logs, not in force')
    .option('--max-ids <n>', 'different numbers, UUIDs or tokens in one place of a path before they become {*}', String(defaultThresholds.ids))
    .option('--max-words <n>', 'different words in one place of a path, not the first, before they become {*}', String(defaultThresholds.words))
    .option('--max-patterns <n>', 'patterns below one first segment before they become a prefix', String(defaultThresholds.patterns))
    .option('-o, --output <format>', 'yaml (ready for meltemi apply, the rest as comments) or json', 'yaml')
    .addHelpText('after', '\nExample: meltemi authz suggest -n default > policies.yaml && meltemi apply -f policies.yaml')
    .action(async (options: Options) => {
      const format = outputFormat(options.output);
      const how = howOf(options);
      if (options.filename !== undefined && options.fromLog.length === 0) throw new CliError('authz suggest: -f has no traffic of its own: give --from-log, too', exitCode.usage);
      const mesh = options.filename === undefined ? await meshFromPilot(environment) : withAssumedPods(await meshFromFiles(options.filename, {}, environment));
      const observed = await observations(mesh, options, { how, environment });
      warnSetAside(mesh.setAside, environment);
      if (observed.length === 0) throw new CliError('authz suggest: nothing was observed, so nothing is suggested: wait for traffic, or look further back');
      const suggestion = suggest(mesh, observed, how);
      const proof = prove(mesh, observed, suggestion, how);
      if (format === 'json') print(environment.output, format, { ...suggestion, proof, holds: holds(proof) }, () => '');
      else environment.output.out(suggestionText(suggestion, proof).trimEnd());
      if (!holds(proof)) {
        environment.output.err('authz suggest: the proof does not hold; see the end of the output');
        process.exitCode = exitCode.failed;
      }
    });
}

function howOf(options: Options): SuggestOptions {
  if (!isPlaintext(options.plaintext)) throw new CliError(`authz suggest: --plaintext ${options.plaintext}: use keep, refuse or address`, exitCode.usage);
  if (options.methodsOnly && options.callersOnly) throw new CliError('authz suggest: only one of --methods-only and --callers-only', exitCode.usage);
  return {
    namespace: options.namespace, plaintext: options.plaintext, minRequests: count('--min-requests', options.minRequests), withoutDoubtful: options.withoutDoubtful === true, denyAll: options.denyAll === true, dryRun: options.dryRun === true,
    granularity: options.callersOnly ? 'callers' : options.methodsOnly ? 'methods' : 'paths', hosts: options.hosts === true,
    thresholds: { ids: count('--max-ids', options.maxIds), words: count('--max-words', options.maxWords), patterns: count('--max-patterns', options.maxPatterns) }, nowMs: Date.now(), features: featuresFrom(process.env),
  };
}

function isPlaintext(text: string): text is Plaintext {
  return text === 'keep' || text === 'refuse' || text === 'address';
}

function count(flag: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new CliError(`authz suggest: ${flag} ${text}: must be a number`, exitCode.usage);
  return Number(text);
}

interface How {
  readonly how: SuggestOptions;
  readonly environment: CommandEnvironment;
}

async function observations(mesh: LoadedMesh, options: Options, { how, environment }: How): Promise<readonly Observation[]> {
  const found = options.fromLog.length > 0 ? await fromLogs(mesh, options.fromLog, { how, environment }) : await fromTelemetry(environment);
  const oldest = options.since === undefined ? 0 : how.nowMs - durationOf(options.since);
  return merged(found).filter(({ lastSeenMs, workload }) => lastSeenMs >= oldest && (options.namespace === undefined || workload.startsWith(`${options.namespace}/`)));
}

function durationOf(text: string): number {
  const duration = parseDurationMs(text);
  if (!duration.ok) throw new CliError(`authz suggest: --since ${text}: use a duration such as 1h`, exitCode.usage);
  return duration.value;
}

async function fromLogs(mesh: LoadedMesh, logs: readonly string[], { how, environment }: How): Promise<Observation[]> {
  const views = new MeshViews(mesh, how.features);
  const read = await Promise.all(logs.map(async (one) => {
    const at = one.indexOf('=');
    const file = one.slice(at + 1);
    const { observations: found, passedOver } = readAccessLog(await textOf(file, environment), views, { workload: at < 0 ? undefined : one.slice(0, at), nowMs: how.nowMs });
    if (passedOver > 0) environment.output.err(`${file}: ${passedOver} lines are passed over: no JSON access log, or nobody can tell whom they reached (write the workload before the file: default/productpage=${file})`);
    return found;
  }));
  return read.flat();
}

const deadlineMs = 5000;

async function fromTelemetry({ context, output }: CommandEnvironment): Promise<Observation[]> {
  const { telemetry } = context();
  if (telemetry === undefined) throw new CliError('authz suggest: the context names no telemetry, which keeps what was observed: give --from-log');
  try {
    const response = await fetch(`${telemetry}/accesses`, { signal: AbortSignal.timeout(deadlineMs) });
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    const { accesses, forgotten = 0 } = (await response.json()) as { accesses?: readonly unknown[]; forgotten?: number };
    if (forgotten > 0) output.err(`telemetry had no room for ${forgotten} more different requests: what it forgot is neither suggested nor proven (its flag --max-accesses)`);
    return readAccesses(accesses ?? []);
  } catch (cause) {
    throw new CliError(`authz suggest: telemetry at ${telemetry} cannot be asked what was observed: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}
