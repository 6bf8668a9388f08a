import { formatFieldErrors, type Result } from '@meltemi/base';
import { explain, featuresFrom, journey, MeshViews, readCalls, readProxyQuestion, withAssumedPods, type JourneyRequest, type LoadedMesh } from '@meltemi/explain';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandEnvironment, CommandModule } from '../../command.ts';
import { outputFormat, print, type OutputFormat } from '../../output.ts';
import { answerText } from './answer-text.ts';
import { meshFromFiles, textOf, warnSetAside, type MeshFileOptions } from './mesh-files.ts';

interface Options extends MeshFileOptions {
  readonly filename?: string[];
  readonly proxyFile?: string;
  readonly callFile?: string;
  readonly from?: string;
  readonly header: string[];
  readonly output?: string;
}

/** `meltemi explain`: why a request goes where it goes, by the proxy's own matchers. Exits 0 with an answer, whatever it is; 1 when the question cannot be read. */
export const explainCommand: CommandModule = (program, environment) => {
  program.command('explain')
    .description('tell why a request goes where it goes, from files or from the live mesh')
    .argument('[method]', 'such as GET')
    .argument('[url]', 'such as http://reviews:9080/reviews/0; tcp://host:port for bytes, h2c:// or grpc:// for HTTP/2')
    .option('--from <workload>', 'who asks: namespace/name of a Deployment, Pod, WorkloadEntry, app label or service; a gateway too')
    .option('-H, --header <field>', 'a header of the request, as curl has it; may be repeated', (field: string, all: string[]) => [...all, field], [])
    .option('-f, --filename <files...>', 'files or directories of Istio, Gateway API and Kubernetes objects (default: the live mesh)')
    .option('--mesh-config <file>', 'MeshConfig (default: the ConfigMap istio among the files)')
    .option('--mesh-networks <file>', 'MeshNetworks (default: the ConfigMap istio among the files)')
    .option('--proxy-file <file>', 'for programs: whose view, {"type", "namespace", "labels", "ip", "serviceAccount", "metadata"}')
    .option('--call-file <file>', 'for programs: calls, [{"mode", "address", "port", "protocol", "tls", "host", "path", "method", "headers", …}]')
    .option('-o, --output <format>', 'table, json or yaml')
    .addHelpText('after', '\nExample: meltemi explain --from default/productpage GET http://reviews:9080/reviews/0 -H "end-user: jason"')
    .action(async (givenMethod: string | undefined, givenUrl: string | undefined, given: Options) => {
      const { method, url, options } = givenMethod === undefined ? requestBehindFiles(given) : { method: givenMethod, url: givenUrl, options: given };
      const format = outputFormat(options.output);
      const mesh = async () => (options.filename === undefined ? (await import('./live-mesh.ts')).meshFromPilot(environment) : meshFromFiles(options.filename, options, environment));
      if (options.proxyFile !== undefined && options.callFile !== undefined) return answerCalls(await mesh(), { ...options, proxyFile: options.proxyFile, callFile: options.callFile }, format, environment);
      if (options.from === undefined || method === undefined) throw new CliError('explain: say who asks and what, like: meltemi explain --from default/productpage GET http://reviews:9080/reviews/0 (or give --proxy-file and --call-file)', exitCode.usage);
      const request = requestOf(options.from, url === undefined ? ['GET', method] : [method, url], options.header);
      follow(options.filename === undefined ? await mesh() : withAssumedPods(await mesh()), request, format, environment);
    });
};

/** `-f dir GET http://a/`: -f takes every word behind it, also the request. */
function requestBehindFiles(options: Options): { readonly method: string | undefined; readonly url: string | undefined; readonly options: Options } {
  const words = options.filename ?? [];
  const url = words.at(-1);
  if (url === undefined || words.length < 2 || !/^[a-z0-9]+:\/\//.test(url)) return { method: undefined, url: undefined, options };
  const hasMethod = words.length > 2 && /^[A-Z]+$/.test(words.at(-2) ?? '');
  return { method: hasMethod ? words.at(-2) : 'GET', url, options: { ...options, filename: words.slice(0, hasMethod ? -2 : -1) } };
}

type Files = Options & { readonly proxyFile: string; readonly callFile: string };

async function answerCalls(mesh: LoadedMesh, { proxyFile, callFile }: Files, format: OutputFormat, environment: CommandEnvironment): Promise<void> {
  const proxy = read(readProxyQuestion(await textOf(proxyFile, environment)), proxyFile);
  const calls = read(readCalls(await textOf(callFile, environment)), callFile);
  const { answers, setAside } = read(explain(mesh, proxy, { calls, nowMs: Date.now(), features: featuresFrom(process.env) }), proxyFile);
  warnSetAside(setAside, environment);
  print(environment.output, format, answers, () => answers.map((answer, i) => answerText(answer, calls[i])).join('\n\n'));
}

function follow(mesh: LoadedMesh, request: JourneyRequest, format: OutputFormat, environment: CommandEnvironment): void {
  const followed = journey(new MeshViews(mesh, featuresFrom(process.env)), request, Date.now());
  if (!followed.ok) warnSetAside(mesh.setAside, environment);
  const { legs, setAside } = read(followed, 'explain');
  warnSetAside(setAside, environment);
  print(environment.output, format, legs, () => legs.map(({ workload, call, answer }) => `${workload}\n${answerText(answer, call)}`).join('\n\n'));
}

function requestOf(from: string, [method, address]: readonly [string, string], fields: readonly string[]): JourneyRequest {
  const url = URL.parse(address.includes('://') ? address : `http://${address}`);
  if (url === null) throw new CliError(`explain: "${address}" is no URL, like http://reviews:9080/reviews/0`, exitCode.usage);
  const headers = Object.fromEntries(fields.map((field) => {
    const colon = field.indexOf(':');
    if (colon < 1) throw new CliError(`explain: -H "${field}" is no header, like "end-user: jason"`, exitCode.usage);
    return [field.slice(0, colon).trim().toLowerCase(), field.slice(colon + 1).trim()];
  }));
  return { from, method, url, headers };
}

function read<T>(result: Result<T>, what: string): T {
  if (!result.ok) throw new CliError(`${what}: ${formatFieldErrors(result.error)}`);
  return result.value;
}
