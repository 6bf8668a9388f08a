import { formatFieldErrors, type Result } from '@meltemi/base';
import { explain, featuresFrom, loadMesh, originText, readCalls, readProxyQuestion, type LoadedMesh } from '@meltemi/explain';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandEnvironment, CommandModule } from '../../command.ts';
import { readFiles } from '../../files.ts';
import { outputFormat, print } from '../../output.ts';
import { answerText } from './answer-text.ts';

interface Options {
  readonly filename?: string[];
  readonly meshConfig?: string;
  readonly meshNetworks?: string;
  readonly proxyFile?: string;
  readonly callFile?: string;
  readonly output?: string;
}

/** `meltemi explain`: why a request goes where it goes, by the proxy's own matchers. Exits 0 with an answer, whatever it is; 1 when the question cannot be read. */
export const explainCommand: CommandModule = (program, environment) => {
  program.command('explain')
    .description('tell why a request goes where it goes, from files or from the live mesh')
    .option('-f, --filename <files...>', 'files or directories of Istio, Gateway API and Kubernetes objects (default: the live mesh)')
    .option('--mesh-config <file>', 'MeshConfig (default: the ConfigMap istio among the files)')
    .option('--mesh-networks <file>', 'MeshNetworks (default: the ConfigMap istio among the files)')
    .option('--proxy-file <file>', 'whose view: {"type", "namespace", "labels", "ip", "serviceAccount", "metadata"}')
    .option('--call-file <file>', 'calls: [{"mode", "address", "port", "protocol", "tls", "host", "path", "method", "headers", …}]')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (options: Options) => {
      const format = outputFormat(options.output);
      if (options.proxyFile === undefined || options.callFile === undefined) throw new CliError('explain: --proxy-file and --call-file are needed', exitCode.usage);
      const proxy = read(readProxyQuestion(await textOf(options.proxyFile, environment)), options.proxyFile);
      const calls = read(readCalls(await textOf(options.callFile, environment)), options.callFile);
      const mesh = await load(options, environment);
      const { answers, setAside } = read(explain(mesh, proxy, { calls, nowMs: Date.now(), features: featuresFrom(process.env) }), options.proxyFile);
      for (const { origin, errors } of setAside) environment.output.err(`set aside: ${originText(origin)}: ${formatFieldErrors(errors)}`);
      print(environment.output, format, answers, () => answers.map((answer, i) => answerText(answer, calls[i])).join('\n\n'));
    });
};

async function load(options: Options, environment: CommandEnvironment): Promise<LoadedMesh> {
  const files = await readFiles(options.filename ?? [], environment);
  const named = async (path: string | undefined) => (path === undefined ? undefined : { name: path, text: await textOf(path, environment) });
  const meshConfig = await named(options.meshConfig);
  return loadMesh(files, meshConfig ? { meshConfig } : {});
}

async function textOf(path: string, environment: CommandEnvironment): Promise<string> {
  return (await readFiles([path], environment)).map(({ text }) => text).join('\n');
}

function read<T>(result: Result<T>, file: string): T {
  if (!result.ok) throw new CliError(`${file}: ${formatFieldErrors(result.error)}`);
  return result.value;
}
