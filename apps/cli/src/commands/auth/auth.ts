import type { AccessResponse } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { findKind } from '../../kinds.ts';
import { outputFormat, print } from '../../output.ts';
import { call, connectPilot } from '../../pilot-client.ts';
import type { MeshContext } from '../../context.ts';

const verbs = ['get', 'list', 'watch', 'create', 'update', 'delete'];

/** `meltemi auth can-i` and `whoami`: what the config API lets the caller do, and through which role. */
export const authCommand: CommandModule = (program, { output, context }) => {
  const auth = program.command('auth').description('what you may do with the config API, and who you are to it');
  auth.command('can-i')
    .description('whether you may do something; ends with 1 when not')
    .argument('<verb>', verbs.join(', '))
    .argument('<kind>', 'such as virtualservice, vs, secret')
    .argument('[name]', 'one object of that kind')
    .option('-n, --namespace <namespace>', 'where (default: "default")', 'default')
    .option('-A, --all-namespaces', 'in every namespace')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (verb: string, kindText: string, name: string | undefined, options: { namespace: string; allNamespaces?: true; output?: string }) => {
      if (!verbs.includes(verb)) throw new CliError(`auth can-i ${verb}: the verb is one of ${verbs.join(', ')}`, exitCode.usage);
      const kind = findKind(kindText);
      const namespace = options.allNamespaces || kind.scope === 'cluster' ? '' : options.namespace;
      const reply = await ask(context(), { verb, group: kind.group, kind: kind.kind, namespace, name: name ?? '' });
      print(output, outputFormat(options.output), reply, () => `${reply.allowed ? 'yes' : 'no'}: ${reply.reason}`);
      if (!reply.allowed) process.exitCode = exitCode.failed;
    });
  auth.command('whoami')
    .description('the identity the config API knows you by')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (options: { output?: string }) => {
      const { caller } = await ask(context(), { verb: '', group: '', kind: '', namespace: '', name: '' });
      print(output, outputFormat(options.output), { caller }, () => caller);
    });
};

async function ask(context: MeshContext, request: { verb: string; group: string; kind: string; namespace: string; name: string }): Promise<AccessResponse> {
  const client = await connectPilot(context);
  try {
    return await call(client.status.access.bind(client.status), request);
  } finally {
    client.close();
  }
}
