import { status } from '@grpc/grpc-js';
import type { ObjectDistribution, ObjectKey, WaitProgress } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { distributionJson, holdUpLines, lagLine, objectText, pilotLines, sharesText } from '../../distribution.ts';
import { findKind } from '../../kinds.ts';
import { outputFormat, print } from '../../output.ts';
import { connectPilot, type PilotClient } from '../../pilot-client.ts';
import { afterText, defaultWaitMs, waitFor, waitMs } from '../../wait-call.ts';

interface WaitOptions {
  readonly for: string;
  readonly threshold: string;
  readonly timeout?: string;
  readonly generation?: string;
  readonly namespace?: string;
  readonly output?: string;
}

/** `meltemi wait KIND NAME[.NAMESPACE]`, as istioctl's: until the object is at the proxies, or gone from them. */
export const waitCommand: CommandModule = (program, { output, context }) => {
  program.command('wait')
    .description('wait until an object is at the proxies (or gone from them); fails naming who holds it up, and why')
    .argument('<kind>', 'such as virtualservice or vs; or KIND/NAME')
    .argument('[name]', 'NAME or NAME.NAMESPACE')
    .option('--for <what>', 'distribution or delete', 'distribution')
    .option('--threshold <share>', 'share of the proxies that is enough, above 0 to 1', '1')
    .option('--timeout <duration>', 'how long to wait (default 30s)')
    .option('--generation <generation>', 'wait for this metadata.generation, or for this resourceVersion where the object has none (default: the newest)')
    .option('-n, --namespace <namespace>', 'namespace of the object (default: default)')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (kind: string, name: string | undefined, options: WaitOptions) => {
      const format = outputFormat(options.output);
      const timeoutMs = options.timeout === undefined ? defaultWaitMs : waitMs('--timeout', options.timeout);
      const ask = { removed: removedOf(options.for), threshold: shareOf(options.threshold), generation: options.generation ?? '' };
      const named = candidates(kind, name, options.namespace);
      const client = await connectPilot(context());
      try {
        const key = await whichExists(client, named);
        const last = await waitFor(client, { ...ask, objects: [key], timeoutMs });
        const object = last?.objects[0];
        if (object && (format !== 'table' || last.done)) print(output, format, { ...key, done: last.done, ...(distributionJson(object) as object) }, () => doneLine(object, ask.removed));
        if (!last?.done) throw new CliError(failure(last, { key, timeoutMs, ...ask }));
      } finally {
        client.close();
      }
    });
};

function removedOf(text: string): boolean {
  if (text !== 'distribution' && text !== 'delete') throw new CliError(`--for ${text}: wait for distribution or delete`, exitCode.usage);
  return text === 'delete';
}

function shareOf(text: string): number {
  const share = Number(text);
  if (!(share > 0 && share <= 1)) throw new CliError(`--threshold ${text}: write a share of the proxies, above 0 to 1, such as 0.9`, exitCode.usage);
  return share;
}

/** What the words may mean, likeliest first: a name may hold dots itself. */
function candidates(kindText: string, nameText: string | undefined, namespace: string | undefined): readonly ObjectKey[] {
  const slash = kindText.indexOf('/');
  const name = nameText ?? (slash < 0 ? '' : kindText.slice(slash + 1));
  if (name === '' || (nameText !== undefined && slash >= 0)) throw new CliError('Name one object: meltemi wait KIND NAME[.NAMESPACE], or KIND/NAME.', exitCode.usage);
  const { group, kind, scope } = findKind(slash < 0 ? kindText : kindText.slice(0, slash));
  const keyOf = (own: string, within: string): ObjectKey => ({ group, kind, namespace: scope === 'cluster' ? '' : within, name: own });
  const dot = name.lastIndexOf('.');
  if (namespace !== undefined || scope === 'cluster' || dot <= 0) return [keyOf(name, namespace ?? 'default')];
  return [keyOf(name, 'default'), keyOf(name.slice(0, dot), name.slice(dot + 1))];
}

async function whichExists(client: PilotClient, keys: readonly ObjectKey[]): Promise<ObjectKey> {
  const [first, second] = keys;
  if (!first) throw new CliError('Name one object.', exitCode.usage);
  if (!second) return first;
  return (await exists(client, first)) ? first : second;
}

function exists(client: PilotClient, key: ObjectKey): Promise<boolean> {
  return new Promise((resolve, reject) => {
    client.config.get({ key }, (error) => {
      if (error && error.code !== status.NOT_FOUND) reject(new CliError(error.details));
      else resolve(error === null);
    });
  });
}

function doneLine(object: ObjectDistribution, removed: boolean): string {
  return `${objectText(object.key)} is ${removed ? 'gone from' : 'at'} ${sharesText(object)} proxies`;
}

function failure(last: WaitProgress | undefined, { key, timeoutMs, removed, generation }: { key: ObjectKey; timeoutMs: number; removed: boolean; generation: string }): string {
  const object = last?.objects[0];
  const when = last?.timedOut === true ? `Timed out ${afterText(timeoutMs)}: ` : '';
  if (!object) return [`${when}nothing is known of ${objectText(key)}.`, ...(last?.laggards ?? []).map((lag) => `  ${lagLine(lag)}`)].join('\n');
  if (removed && object.state !== 0) return [`${when}${objectText(key)} still exists.`, ...pilotLines(last?.laggards ?? []).map((line) => `  ${line}`)].join('\n');
  const wanted = generation !== '' && object.following === object.proxies ? `  its resourceVersion is ${object.resourceVersion === '' ? 'unknown' : object.resourceVersion}; generation ${generation} is waited for` : undefined;
  const known = holdUpLines(object);
  const pilots = pilotLines(last?.laggards ?? []).map((line) => `  ${line}`).filter((line) => !known.includes(line));
  return [`${when}${known.join('\n')}`, ...(wanted === undefined ? [] : [wanted]), ...pilots].join('\n');
}
