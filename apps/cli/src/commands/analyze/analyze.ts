import type { Command } from 'commander';
import { analyzeObjects, analyzers, analyzeTexts, reaches, type AnalysisMessage, type SourceText } from '@meltemi/config/analysis';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandEnvironment, CommandModule } from '../../command.ts';
import { readFiles } from '../../files.ts';
import { fixFiles } from './fix.ts';
import { analysisOptions, formatOf, levelOf, type AnalyzeFlags } from './options.ts';
import { analyzerList, printMessages, wantsColor } from './print.ts';

/** `meltemi analyze`: what is wrong or doubtful in files or in the live mesh, with Istio's codes. */
export const analyzeCommand: CommandModule = (program, environment) => {
  withFlags(program.command('analyze')).action(async (paths: string[], flags: AnalyzeFlags) => {
    if (flags.listAnalyzers === true) return environment.output.out(analyzerList());
    const format = formatOf(flags.output);
    const [failure, shown] = [levelOf('failure-threshold', flags.failureThreshold), levelOf('output-threshold', flags.outputThreshold)];
    const options = analysisOptions(flags, environment.output);
    const files = [...(flags.filename ?? []), ...paths];
    if (flags.fix === true) return fixFiles(await filesToFix(files, flags, environment), { ...options, failure, write: flags.write === true }, environment.output);
    const messages = files.length > 0 ? analyzeTexts(await texts(files, flags, environment), options) : analyzeObjects(await (await import('./live.ts')).analyzedLiveObjects(environment.context()), { ...options, builtin: false });
    printMessages(environment.output, messages.filter(({ level }) => reaches(level, shown)), { format, color: wantsColor(flags.color) });
    if (flags.verbose) environment.output.err(`Analyzers that ran: ${(options.analyzers?.length ? options.analyzers : analyzers.map(({ name }) => name)).join(', ')}`);
    const failing = messages.filter(({ level }) => reaches(level, failure));
    if (format === 'log') environment.output.err(summary(messages, files));
    process.exitCode = failing.length > 0 ? exitCode.foundIssues : exitCode.ok;
  });
};

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

function withFlags(command: Command): Command {
  return command
    .description('find what is wrong or doubtful in files or in the live mesh, with Istio\'s codes')
    .argument('[paths...]', 'files, directories, or - for standard input (default: the live mesh)')
    .option('-f, --filename <files...>', 'the same as a flag')
    .option('-n, --namespace <namespace>', 'only messages of this namespace and of cluster-scoped objects; objects that name no namespace are in it')
    .option('-A, --all-namespaces', 'every namespace (the default)')
    .option('-R, --recursive', 'directories are always read with everything below them')
    .option('-o, --output <format>', 'log, json or yaml')
    .option('-S, --suppress <code=object>', 'leave a code out for an object, like "IST0102=Namespace foo"; * stands for anything; can be repeated', collect, [])
    .option('--failure-threshold <level>', 'Info, Warning or Error: exit 79 when a message reaches it', 'Error')
    .option('--output-threshold <level>', 'Info, Warning or Error: print only messages that reach it', 'Info')
    .option('--mesh-config <file>', 'MeshConfig (default: the ConfigMap istio among the objects, else Istio\'s defaults)')
    .option('--meshConfigFile <file>', 'the same, as istioctl calls it')
    .option('--mesh-networks <file>', 'MeshNetworks (default: the ConfigMap istio among the objects)')
    .option('--analyzer <name>', 'run only this analyzer; can be repeated', collect, [])
    .option('--remote-cluster <name=path>', 'files of another cluster, whose services are compared with these; can be repeated', collect, [])
    .option('--ignore-unknown', 'leave documents out that are no objects')
    .option('--color [boolean]', 'colours (default: on a terminal)')
    .option('--fix', 'print the patch that would mend what has one obvious remedy; --fix=apply is --fix --write')
    .option('--write', 'with --fix: change the files')
    .option('-k, --use-kube [boolean]', 'of no effect: with files no server is ever asked')
    .option('-r, --revision <name>', 'of no effect: there is one control plane')
    .option('--timeout <duration>', 'of no effect: nothing is waited for')
    .option('-v, --verbose', 'also say which analyzers ran')
    .option('-L, --list-analyzers', 'list the analyzers and do nothing else');
}

function filesToFix(files: readonly string[], flags: AnalyzeFlags, environment: CommandEnvironment): Promise<SourceText[]> {
  if (files.length === 0) throw new CliError('--fix mends files: name them. What the live mesh holds is mended where it was written.', exitCode.usage);
  if (flags.write === true && files.includes('-')) throw new CliError('--write cannot change standard input: leave it out and apply the patch.', exitCode.usage);
  return texts(files, flags, environment);
}

async function texts(files: readonly string[], flags: AnalyzeFlags, environment: CommandEnvironment): Promise<SourceText[]> {
  const own: SourceText[] = await readFiles(files, environment);
  const remote = await Promise.all(flags.remoteCluster.map(async (text) => {
    const [cluster = '', ...path] = text.split('=');
    if (cluster === '' || path.length === 0) throw new CliError(`--remote-cluster ${text}: write NAME=PATH`, exitCode.usage);
    return (await readFiles([path.join('=')], environment)).map((file): SourceText => ({ ...file, cluster }));
  }));
  return [...own, ...remote.flat()];
}

function summary(messages: readonly AnalysisMessage[], files: readonly string[]): string {
  const where = files.length === 0 ? 'the live mesh' : files.join(', ');
  if (messages.length === 0) return `✔ No issues found in ${where}.`;
  const counts = (['Error', 'Warning', 'Info'] as const).map((level) => `${messages.filter((message) => message.level === level).length} ${level}`);
  return `Found in ${where}: ${counts.join(', ')}.`;
}
