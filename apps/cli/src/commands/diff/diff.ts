import { formatFieldErrors, type Result } from '@meltemi/base';
import { featuresFrom, laidOver, meshDiff, originText, readRequests, requestsSeen, withAssumedPods, type JourneyRequest, type MeshDiff } from '@meltemi/explain';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandEnvironment, CommandModule } from '../../command.ts';
import { outputFormat, print } from '../../output.ts';
import { meshFromPilot } from '../explain/live-mesh.ts';
import { meshFromFiles, textOf } from '../explain/mesh-files.ts';
import { recentRequests } from './recent-requests.ts';

interface Options {
  readonly filename: string[];
  readonly base?: string[];
  readonly requests?: string;
  readonly accessLog: string[];
  readonly recent: boolean;
  readonly exitCode?: true;
  readonly output?: string;
}

/** `meltemi diff -f new.yaml`: what would change, before it does. Exits 0; with --exit-code 1 when something would change. */
export const diffCommand: CommandModule = (program, environment) => {
  program.command('diff')
    .description('tell what applying files would change: which proxies, which resources, where requests go')
    .requiredOption('-f, --filename <files...>', 'files or directories that would be applied, or - for standard input')
    .option('--base <paths...>', 'files or directories to compare with (default: the live mesh)')
    .option('--requests <file>', 'requests of interest: [{"from", "method", "url", "headers"}]')
    .option('--access-log <workload=file>', 'requests seen recently: the access log of a workload\'s proxy; may be repeated', (one: string, all: string[]) => [...all, one], [])
    .option('--no-recent', 'leave out the requests that the live mesh saw lately')
    .option('--exit-code', 'exit with 1 when something would change')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (options: Options) => {
      const format = outputFormat(options.output);
      const live = options.base === undefined;
      const written = live ? await meshFromPilot(environment) : await meshFromFiles(options.base ?? [], {}, environment);
      const update = await meshFromFiles(options.filename, {}, environment);
      const [before, after] = live ? [written, laidOver(written, update)] : [withAssumedPods(written), withAssumedPods(laidOver(written, update))];
      const requests = await requestsOf(options, environment);
      const diff = read(meshDiff(before, after, { requests, nowMs: Date.now(), features: featuresFrom(process.env) }), 'diff');
      print(environment.output, format, asJson(diff), () => text(diff, requests.length));
      if (options.exitCode && (diff.proxies.length > 0 || diff.requests.length > 0 || diff.setAside.length > 0)) process.exitCode = exitCode.failed;
    });
};

async function requestsOf(options: Options, environment: CommandEnvironment): Promise<readonly JourneyRequest[]> {
  const given = options.requests === undefined ? [] : read(readRequests(await textOf(options.requests, environment)), options.requests);
  const seen = await Promise.all(options.accessLog.map(async (one) => {
    const at = one.indexOf('=');
    if (at < 1) throw new CliError(`diff: --access-log ${one}: write it as default/productpage=FILE`, exitCode.usage);
    return requestsSeen(one.slice(0, at), await textOf(one.slice(at + 1), environment));
  }));
  const recent = options.base === undefined && options.recent ? await recentRequests(environment) : [];
  // What is told apart by headers was given; the others are one each.
  const all = [...given, ...seen.flat(), ...recent].map((request) => [`${request.from} ${request.method} ${request.url.href} ${JSON.stringify(request.headers)}`, request] as const);
  return [...new Map(all).values()];
}

function asJson(diff: MeshDiff): object {
  return {
    ...diff,
    requests: diff.requests.map(({ request, ...rest }) => ({ from: request.from, method: request.method, url: request.url.href, ...rest })),
    setAside: diff.setAside.map(({ origin, errors }) => ({ ...origin, errors })),
  };
}

function text({ objects, proxies, unaffected, requests, setAside }: MeshDiff, followed: number): string {
  const lines = objects.map(({ key, change }) => `${change === 'added' ? '+' : '~'} ${key}`);
  for (const { origin, errors } of setAside) lines.push(`! would be set aside: ${originText(origin)}: ${formatFieldErrors(errors)}`);
  for (const { proxy, resources } of proxies)
    lines.push(proxy, ...resources.flatMap(({ type, added, removed, changed }) => [...named('+', type, added), ...named('-', type, removed), ...named('~', type, changed)]));
  lines.push(proxies.length === 0 ? 'No proxy would be sent anything.' : `${proxies.length} proxies would be sent something, ${unaffected} nothing.`);
  if (followed > 0) lines.push(`${requests.length} of ${followed} ${followed === 1 ? 'request' : 'requests'} given or seen lately would be treated otherwise.`);
  for (const { request, verdict, before, after } of requests) lines.push(`${request.from} ${request.method} ${request.url.href}${fields(request)} ${verdict}`, `  before  ${before}`, `  after   ${after}`);
  return lines.join('\n');
}

function fields({ headers }: JourneyRequest): string {
  return Object.entries(headers).map(([name, value]) => ` -H "${name}: ${value}"`).join('');
}

const shown = 12;

function named(sign: string, type: string, names: readonly string[]): string[] {
  const lines = names.slice(0, shown).map((name) => `  ${sign} ${type} ${name}`);
  return names.length > shown ? [...lines, `  ${sign} ${type} … and ${names.length - shown} more`] : lines;
}

function read<T>(result: Result<T>, what: string): T {
  if (!result.ok) throw new CliError(`${what}: ${formatFieldErrors(result.error)}`);
  return result.value;
}
