import { formatFieldErrors } from '@meltemi/base';
import { featuresFrom, meshTestsOf, originText, runMeshTests, type MeshTestResult } from '@meltemi/explain';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { outputFormat, print } from '../../output.ts';
import { stepText } from '../explain/answer-text.ts';
import { meshFromFiles, warnSetAside, type MeshFileOptions } from '../explain/mesh-files.ts';

interface Options extends MeshFileOptions {
  readonly output?: string;
}

/** `meltemi test DIR`: runs the MeshTests beside the configuration, with no cluster. Exits 0 when all hold, else 1. */
export const testCommand: CommandModule = (program, environment) => {
  program.command('test')
    .description('run the expectations (kind: MeshTest) that stand beside the configuration, with no cluster')
    .argument('<paths...>', 'directories or files of configuration and tests')
    .option('--mesh-config <file>', 'MeshConfig (default: the ConfigMap istio among the files)')
    .option('--mesh-networks <file>', 'MeshNetworks (default: the ConfigMap istio among the files)')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (paths: string[], options: Options) => {
      const format = outputFormat(options.output);
      const mesh = await meshFromFiles(paths, options, environment);
      warnSetAside(mesh.setAside, environment);
      const { tests, problems } = meshTestsOf(mesh);
      for (const { origin, errors } of problems) environment.output.err(`${originText(origin)}: ${formatFieldErrors(errors)}`);
      if (tests.length === 0 && problems.length === 0) throw new CliError(`${paths.join(', ')}: there is no MeshTest here; see the guide "Expectations as code"`);
      const results = runMeshTests(mesh, tests, { nowMs: Date.now(), features: featuresFrom(process.env) });
      const unreadable = problems.map(({ origin, errors }) => ({ name: `${origin.name}: ${originText(origin)}`, passed: false, file: origin.file ?? '', line: origin.line ?? 0, differences: errors.map(({ path, message }) => `${path}: ${message}`) }));
      print(environment.output, format, [...unreadable, ...results.map(asJson)], () => results.flatMap(lines).concat(summary(results)).join('\n'));
      if (problems.length > 0 || results.some(({ differences }) => differences.length > 0)) process.exitCode = exitCode.failed;
    });
};

function asJson({ test, answer, differences }: MeshTestResult): object {
  return { name: test.name, passed: differences.length === 0, call: test.call, file: test.origin.file ?? '', line: test.origin.line ?? 0, differences, ...(answer ? { answer } : {}) };
}

function lines({ test, answer, differences }: MeshTestResult): string[] {
  if (differences.length === 0) return [`ok    ${test.name}`];
  const looked = (answer?.steps ?? []).map((step) => `      ${stepText(step)}`);
  return [`FAIL  ${test.name} (${test.origin.file ?? ''}:${test.origin.line ?? 0})`, ...differences.map((text) => `      ${text}`), ...looked];
}

function summary(results: readonly MeshTestResult[]): string {
  const failed = results.filter(({ differences }) => differences.length > 0).length;
  return `${results.length - failed} passed, ${failed} failed`;
}
