import type { Object as ApiObject, SourceProblem } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { CliError } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { findKind } from '../../kinds.ts';
import { columns, outputFormat, print } from '../../output.ts';
import { call, connectPilot } from '../../pilot-client.ts';

interface GetOptions {
  readonly namespace?: string;
  readonly allNamespaces?: true;
  readonly quarantined?: true;
  readonly output?: string;
}

/** What people write; the registry's objects are shown when asked for by kind. */
const istioGroups = /\.istio\.io$/;

/** `meltemi get [kind] [name]`: the objects of the mesh, and which of them are set aside. */
export const getCommand: CommandModule = (program, { output, context }) => {
  program.command('get')
    .description('show objects, and which of them are quarantined and why')
    .argument('[kind]', 'such as virtualservice, vs, service; all: every kind (default: the mesh\'s own kinds)')
    .argument('[name]', 'one object of that kind')
    .option('-n, --namespace <namespace>', 'only this namespace')
    .option('-A, --all-namespaces', 'every namespace (the default)')
    .option('--quarantined', 'only objects that are set aside')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (kindText: string | undefined, name: string | undefined, options: GetOptions) => {
      const format = outputFormat(options.output);
      const every = kindText === undefined || kindText === 'all';
      const kind = every ? undefined : findKind(kindText);
      const client = await connectPilot(context());
      try {
        const { objects, problems } = await call(client.config.list.bind(client.config), { group: '', kind: kind?.kind ?? '', namespace: options.namespace ?? '' });
        const shown = objects.filter((object) => (kind === undefined || object.key?.group === kind.group) && (name === undefined || object.key?.name === name) && (kindText !== undefined || object.quarantine !== undefined || istioGroups.test(object.key?.group ?? '')) && (!options.quarantined || object.quarantine));
        if (name !== undefined && shown.length === 0) throw new CliError(`${kind?.kind ?? 'Object'} ${name} does not exist${options.namespace ? ` in namespace ${options.namespace}` : ''}.`);
        print(output, format, name !== undefined && shown.length === 1 ? objectJson(shown[0]) : shown.map(objectJson), () => (shown.length === 0 ? 'No objects found.' : table(shown)));
        for (const object of shown) explain(object, (text) => output.err(text));
        if (name === undefined) for (const problem of problems) output.err(problemLine(problem));
      } finally {
        client.close();
      }
    });
};

function objectJson(object: ApiObject | undefined): unknown {
  if (!object) return null;
  const content = JSON.parse(object.json) as Record<string, unknown>;
  const metadata = { ...(content['metadata'] as Record<string, unknown> | undefined), namespace: object.key?.namespace, ...(object.resourceVersion === '' ? {} : { resourceVersion: object.resourceVersion }) };
  return { ...content, metadata, meltemi: { origin: object.origin, ...(object.quarantine ? { quarantine: object.quarantine, lastGoodInForce: object.lastGoodInForce } : {}) } };
}

function table(objects: readonly ApiObject[]): string {
  return columns(['KIND', 'NAMESPACE', 'NAME', 'STATUS', 'ORIGIN'], objects.map((object) => [object.key?.kind ?? '', object.key?.namespace ?? '', object.key?.name ?? '', state(object), object.origin]));
}

function state(object: ApiObject): string {
  if (!object.quarantine) return 'in force';
  return object.lastGoodInForce ? 'QUARANTINED (last good in force)' : 'QUARANTINED';
}

/** "a.yaml:3: spec.hosts: …": what no object could be made of. */
function problemLine({ source, file, line, path, message }: SourceProblem): string {
  const where = file === '' ? source : `${file}${line > 0 ? `:${line}` : ''}`;
  return `${where}: ${path === '' ? '' : `${path}: `}${message}`;
}

function explain(object: ApiObject, say: (text: string) => void): void {
  for (const [index, error] of (object.quarantine?.errors ?? []).entries()) {
    const location = object.quarantine?.locations[index];
    const where = location ? `${location}: ` : '';
    say(`${where}${object.key?.kind} ${object.key?.namespace}/${object.key?.name}: ${error.path === '' ? '' : `${error.path}: `}${error.message}`);
  }
}
