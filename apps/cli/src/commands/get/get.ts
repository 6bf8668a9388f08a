import type { Object as ApiObject, ObjectDistribution, ObjectKey, SourceProblem } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { CliError } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { distributionJson, distributionsOf, lagLine, objectText, sharesText } from '../../distribution.ts';
import { findKind } from '../../kinds.ts';
import { columns, outputFormat, print } from '../../output.ts';
import { call, connectPilot, type PilotClient } from '../../pilot-client.ts';

interface GetOptions {
  readonly namespace?: string;
  readonly allNamespaces?: true;
  readonly quarantined?: true;
  readonly output?: string;
}

/** Proxies named of one object, and of each in a list. */
const [maxNamed, maxNamedInList] = [100, 3];

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
    .option('-o, --output <format>', 'table, wide (which proxies have it), json or yaml (with the proxies, of one object)')
    .action(async (kindText: string | undefined, name: string | undefined, options: GetOptions) => {
      const wide = options.output?.toLowerCase() === 'wide';
      const format = wide ? 'table' : outputFormat(options.output);
      const every = kindText === undefined || kindText === 'all';
      const kind = every ? undefined : findKind(kindText);
      const client = await connectPilot(context());
      try {
        const { objects, problems } = await call(client.config.list.bind(client.config), { group: '', kind: kind?.kind ?? '', namespace: options.namespace ?? '' });
        const shown = objects.filter((object) => (kind === undefined || object.key?.group === kind.group) && (name === undefined || object.key?.name === name) && (kindText !== undefined || object.quarantine !== undefined || istioGroups.test(object.key?.group ?? '')) && (!options.quarantined || object.quarantine));
        if (name !== undefined && shown.length === 0) throw new CliError(`${kind?.kind ?? 'Object'} ${name} does not exist${options.namespace ? ` in namespace ${options.namespace}` : ''}.`);
        const spread = wide || (name !== undefined && format !== 'table') ? await spreadOf(client, shown, name === undefined ? maxNamedInList : maxNamed) : undefined;
        const asJson = (object: ApiObject) => objectJson(object, spread?.of.get(object));
        print(output, format, name !== undefined && shown.length === 1 && shown[0] ? asJson(shown[0]) : shown.map(asJson), () => (shown.length === 0 ? 'No objects found.' : table(shown, spread)));
        for (const line of spread?.missing ?? []) output.err(line);
        for (const object of wide ? shown : []) for (const lag of spread?.of.get(object)?.laggards ?? []) if (!object.quarantine) output.err(`${objectText(object.key)}: ${lagLine(lag)}`);
        for (const object of shown) explain(object, (text) => output.err(text));
        if (name === undefined) for (const problem of problems) output.err(problemLine(problem));
      } finally {
        client.close();
      }
    });
};

const noKey: ObjectKey = { group: '', kind: '', namespace: '', name: '' };

interface Spread {
  readonly of: ReadonlyMap<ApiObject, ObjectDistribution>;
  /** Pilots whose proxies are not counted. */
  readonly missing: readonly string[];
}

/** How far each object is among the proxies. */
async function spreadOf(client: PilotClient, objects: readonly ApiObject[], named: number): Promise<Spread> {
  const { objects: found, missing } = await distributionsOf(client, objects.map(({ key }) => key ?? noKey), named);
  return { of: new Map(objects.flatMap((object, index) => (found[index] ? [[object, found[index]] as const] : []))), missing };
}

function objectJson(object: ApiObject, distribution?: ObjectDistribution): unknown {
  const content = JSON.parse(object.json) as Record<string, unknown>;
  const metadata = { ...(content['metadata'] as Record<string, unknown> | undefined), namespace: object.key?.namespace, ...(object.resourceVersion === '' ? {} : { resourceVersion: object.resourceVersion }) };
  const quarantine = object.quarantine ? { quarantine: object.quarantine, lastGoodInForce: object.lastGoodInForce } : {};
  return { ...content, metadata, meltemi: { origin: object.origin, ...quarantine, ...(distribution ? { distribution: distributionJson(distribution) } : {}) } };
}

function table(objects: readonly ApiObject[], spread?: Spread): string {
  return columns(['KIND', 'NAMESPACE', 'NAME', 'STATUS', ...(spread ? ['PROXIES'] : []), 'ORIGIN'], objects.map((object) => {
    const distribution = spread?.of.get(object);
    return [object.key?.kind ?? '', object.key?.namespace ?? '', object.key?.name ?? '', state(object), ...(spread ? [distribution ? sharesText(distribution) : ''] : []), object.origin];
  }));
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
