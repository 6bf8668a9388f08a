import { formatFieldErrors, type Result } from '@meltemi/base';
import { explain, featuresFrom, readCalls, readProxyQuestion } from '@meltemi/explain';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { outputFormat, print } from '../../output.ts';
import { answerText } from './answer-text.ts';
import { meshFromFiles, textOf, warnSetAside, type MeshFileOptions } from './mesh-files.ts';

interface Options extends MeshFileOptions {
  readonly filename?: string[];
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
      const mesh = await meshFromFiles(options.filename ?? [], options, environment);
      const { answers, setAside } = read(explain(mesh, proxy, { calls, nowMs: Date.now(), features: featuresFrom(process.env) }), options.proxyFile);
      warnSetAside(setAside, environment);
      print(environment.output, format, answers, () => answers.map((answer, i) => answerText(answer, calls[i])).join('\n\n'));
    });
};

function read<T>(result: Result<T>, file: string): T {
  if (!result.ok) throw new CliError(`${file}: ${formatFieldErrors(result.error)}`);
  return result.value;
}
