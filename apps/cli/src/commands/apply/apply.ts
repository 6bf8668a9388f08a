import { ItemResult_Action, type ItemResult } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { FieldError } from '@meltemi/base';
import { parseYamlDocuments } from '@meltemi/config';
import { CliError } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { readFiles, type TextFile } from '../../files.ts';
import { outputFormat, print, type Output } from '../../output.ts';
import { call, connectPilot } from '../../pilot-client.ts';
import { defaultWaitMs, waitMs, waitUntilLive } from '../../wait-call.ts';

interface ApplyOptions {
  readonly filename: string[];
  readonly namespace: string;
  readonly wait?: true | string;
  readonly dryRun?: true;
  readonly output?: string;
}

/** `meltemi apply -f`: all objects or none; with --wait until traffic follows. */
export const applyCommand: CommandModule = (program, environment) => {
  program.command('apply')
    .description('store objects; all of the files, or nothing')
    .requiredOption('-f, --filename <files...>', 'files, directories, or - for standard input')
    .option('-n, --namespace <namespace>', 'namespace of objects that name none', 'default')
    .option('--wait [timeout]', 'return when traffic at every proxy follows (default 30s); fails naming who lags or refuses')
    .option('--dry-run', 'only say what would happen')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (options: ApplyOptions) => {
      const format = outputFormat(options.output);
      const timeoutMs = options.wait === undefined ? undefined : options.wait === true ? defaultWaitMs : waitMs('--wait', options.wait);
      const items = readItems(await readFiles(options.filename, environment), environment.output);
      const client = await connectPilot(environment.context());
      try {
        const reply = await call(client.config.apply.bind(client.config), { items: items.map(({ json }) => ({ json, expectedResourceVersion: '' })), defaultNamespace: options.namespace, dryRun: options.dryRun === true });
        print(environment.output, format, reply.results.map((result) => resultJson(result)), () => reply.results.map((result) => resultLine(result, options.dryRun === true)).join('\n'));
        const refused = explainRefusals(reply.results, items, environment.output);
        if (refused > 0) throw new CliError(`Nothing was applied: ${refused} of ${items.length} objects ${refused === 1 ? 'is' : 'are'} refused.`);
        if (timeoutMs !== undefined && options.dryRun !== true) await waitUntilLive(client, { revision: reply.revision, timeoutMs, objects: reply.results.flatMap(({ key }) => key ?? []) }, environment.output);
      } finally {
        client.close();
      }
    });
};

interface Item {
  readonly json: string;
  /** "file:line" of a field's path. */
  readonly locate: (path: string) => string;
}

/** The objects of the files; fails, naming file and line, when any of them cannot be read. */
function readItems(files: readonly TextFile[], output: Output): Item[] {
  const items: Item[] = [];
  let broken = 0;
  for (const file of files) {
    for (const document of parseYamlDocuments(file.text, file.name).documents) {
      for (const error of document.errors) output.err(`${file.name}:${error.line}: ${error.path === '' ? '' : `${error.path}: `}${error.message}`);
      broken += document.errors.length;
      if (document.raw) items.push({ json: JSON.stringify(document.raw.content), locate: (path) => `${file.name}:${document.locate(path).line}` });
    }
  }
  if (broken > 0) throw new CliError('Nothing was applied: the files above cannot be read.');
  if (items.length === 0) throw new CliError('Nothing to apply: the files hold no objects.');
  return items;
}

const actionWords: Readonly<Record<number, string>> = {
  [ItemResult_Action.UNCHANGED]: 'unchanged', [ItemResult_Action.CREATED]: 'created', [ItemResult_Action.CONFIGURED]: 'configured',
  [ItemResult_Action.DELETED]: 'deleted', [ItemResult_Action.REFUSED]: 'refused', [ItemResult_Action.NOT_FOUND]: 'not found',
};

/** "virtualservice.networking.istio.io/reviews configured", as kubectl says it. */
export function resultLine(result: ItemResult, dryRun: boolean): string {
  const key = result.key;
  const name = key ? `${key.kind.toLowerCase()}${key.group === '' ? '' : `.${key.group}`}/${key.name}` : 'object';
  return `${name} ${actionWords[result.action] ?? result.action}${dryRun ? ' (dry run)' : ''}`;
}

export function resultJson(result: ItemResult): unknown {
  return { ...result.key, action: actionWords[result.action] ?? String(result.action), resourceVersion: result.resourceVersion, errors: result.errors, warnings: result.warnings };
}

function explainRefusals(results: readonly ItemResult[], items: readonly Item[], output: Output): number {
  let refused = 0;
  for (const [index, result] of results.entries()) {
    const about = (error: FieldError) => `${items[index]?.locate(error.path) ?? ''}: ${result.key ? `${result.key.kind} ${result.key.namespace}/${result.key.name}: ` : ''}${error.path === '' ? '' : `${error.path}: `}${error.message}`;
    for (const warning of result.warnings) output.err(`warning: ${about(warning)}`);
    for (const error of result.errors) output.err(about(error));
    if (result.action === ItemResult_Action.REFUSED) refused += 1;
  }
  return refused;
}
