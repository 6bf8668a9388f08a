import type { ObjectKey } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { ItemResult_Action } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { parseYamlDocuments } from '@meltemi/config';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { readFiles } from '../../files.ts';
import { findKind } from '../../kinds.ts';
import { outputFormat, print } from '../../output.ts';
import { call, connectPilot } from '../../pilot-client.ts';
import { defaultWaitMs, waitMs, waitUntilLive } from '../../wait-call.ts';
import { resultJson, resultLine } from '../apply/apply.ts';

interface DeleteOptions {
  readonly filename?: string[];
  readonly namespace: string;
  readonly wait?: true | string;
  readonly ignoreNotFound?: true;
  readonly output?: string;
}

/** `meltemi delete -f FILE` or `meltemi delete KIND NAME…`. */
export const deleteCommand: CommandModule = (program, environment) => {
  program.command('delete')
    .description('delete objects, by file or by kind and name; all of them, or none')
    .argument('[kind]', 'such as virtualservice or vs')
    .argument('[names...]', 'names of objects of that kind')
    .option('-f, --filename <files...>', 'files, directories, or - for standard input')
    .option('-n, --namespace <namespace>', 'namespace of objects that name none', 'default')
    .option('--ignore-not-found', 'succeed when an object does not exist')
    .option('--wait [timeout]', 'return when traffic at every proxy follows (default 30s)')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (kind: string | undefined, names: string[], options: DeleteOptions) => {
      const format = outputFormat(options.output);
      const keys = options.filename ? fileKeys(await readFiles(options.filename, environment), options.namespace) : namedKeys(kind, names, options.namespace);
      const client = await connectPilot(environment.context());
      try {
        const reply = await call(client.config.delete.bind(client.config), { keys, dryRun: false });
        print(environment.output, format, reply.results.map(resultJson), () => reply.results.map((result) => resultLine(result, false)).join('\n'));
        for (const result of reply.results) for (const error of result.errors) environment.output.err(`${result.key?.kind ?? ''} ${result.key?.name ?? ''}: ${error.message}`);
        if (reply.results.some((result) => result.action === ItemResult_Action.REFUSED)) throw new CliError('Nothing was deleted.');
        if (!options.ignoreNotFound && reply.results.some((result) => result.action === ItemResult_Action.NOT_FOUND)) throw new CliError('Some objects do not exist (--ignore-not-found accepts that).');
        if (options.wait !== undefined) await waitUntilLive(client, { revision: reply.revision, timeoutMs: options.wait === true ? defaultWaitMs : waitMs('--wait', options.wait) }, environment.output);
      } finally {
        client.close();
      }
    });
};

function fileKeys(files: readonly { name: string; text: string }[], namespace: string): ObjectKey[] {
  return files.flatMap(({ name, text }) => parseYamlDocuments(text, name).documents.flatMap(({ raw, errors }) => {
    if (errors[0]) throw new CliError(`${name}:${errors[0].line}: ${errors[0].message}`);
    if (!raw) return [];
    const named = (raw.content['metadata'] as { namespace?: unknown } | undefined)?.namespace !== undefined || raw.key.namespace === '';
    return [{ ...raw.key, namespace: named ? raw.key.namespace : namespace }];
  }));
}

function namedKeys(kindText: string | undefined, names: readonly string[], namespace: string): ObjectKey[] {
  if (kindText === undefined) throw new CliError('Say what to delete: meltemi delete -f FILE, or meltemi delete KIND NAME.', exitCode.usage);
  const [kindPart = '', nameInKind] = kindText.split('/');
  const all = nameInKind === undefined ? names : [nameInKind, ...names];
  if (all.length === 0) throw new CliError(`Name the ${kindText} to delete.`, exitCode.usage);
  const kind = findKind(kindPart);
  return all.map((name) => ({ group: kind.group, kind: kind.kind, namespace: kind.scope === 'cluster' ? '' : namespace, name }));
}
