import { Option, type Command } from 'commander';
import type { KeystoreFlagValues } from '@meltemi/citadel-edge';
import { kubernetesFlags } from '@meltemi/citadel-edge/kubernetes-flags';
import { claimKeystore, copyKeystore, type ClaimedKeystore, type CopiedKeystore, type KeystoreLocation } from '@meltemi/citadel-edge/moving';
import { etcdFlags } from '@meltemi/config-edge/etcd';
import { CliError, exitCode } from '../../cli-error.ts';
import { outputFormat, print, type Output } from '../../output.ts';

interface Options {
  readonly from: string;
  readonly to: string;
  readonly fromKeyFile?: string;
  readonly fromPassphraseFile?: string;
  readonly toKeyFile?: string;
  readonly toPassphraseFile?: string;
  readonly output?: string;
  /** Those of etcd and Kubernetes. */
  readonly [name: string]: unknown;
}

/** Those that citadel has, too. */
const placeOptions = [...etcdFlags, ...kubernetesFlags].map((flag) => ({ name: flag.name, option: new Option(`--${flag.name}${flag.type === 'bool' ? '' : ` <${flag.placeholder}>`}`, flag.description) }));

/** `meltemi ca keystore copy` and `move`: works on the keystores themselves, with every citadel stopped. */
export function addKeystoreCommands(ca: Command, output: Output): void {
  const keystore = ca.command('keystore').description("copy or move citadel's keystore: between folders, etcd and Kubernetes Secrets, sealed or plain; every citadel on it must be stopped");
  for (const [name, description] of [['copy', 'copy everything, and compare it; the source stays as it is'], ['move', 'copy, compare, and mark the source (dir: only) so that no citadel starts on it by mistake']] as const) {
    const command = keystore.command(name).description(description)
      .requiredOption('--from <url>', "dir:PATH, etcd[s]://host:port[,…][/root] or kubernetes:NAMESPACE[/NAME], as citadel's --keystore")
      .requiredOption('--to <url>', 'the same; must be empty')
      .option('--from-key-file <file>', 'what the source is sealed with')
      .option('--from-passphrase-file <file>', 'the same, a passphrase')
      .option('--to-key-file <file>', 'what the copy is sealed with; neither: plain, in a folder alone')
      .option('--to-passphrase-file <file>', 'the same, a passphrase');
    for (const { option } of placeOptions) command.addOption(option);
    command.option('-o, --output <format>', 'table, json or yaml')
      .action(async (options: Options) => {
        const format = outputFormat(options.output);
        if (name === 'move' && !options.from.startsWith('dir:')) throw new CliError('ca keystore move: --from must be a folder (dir:PATH); copy from etcd or Kubernetes, and delete what is there yourself', exitCode.usage);
        const copied = await copy(options, name === 'move');
        print(output, format, copied, () => copiedText(copied, options, name));
      });
  }
}

async function copy(options: Options, move: boolean): Promise<CopiedKeystore> {
  const flags: KeystoreFlagValues = Object.fromEntries(placeOptions.map(({ name, option }) => [name, options[option.attributeName()]]));
  const claim = (location: KeystoreLocation, source: boolean): Promise<ClaimedKeystore> => claimKeystore(location, { source });
  try {
    const from = await claim({ url: options.from, keyFile: options.fromKeyFile, passphraseFile: options.fromPassphraseFile, flags }, true);
    try {
      const to = await claim({ url: options.to, keyFile: options.toKeyFile, passphraseFile: options.toPassphraseFile, flags }, false);
      try {
        const copied = await copyKeystore(from, to);
        if (move) await from.retire?.(to.name);
        return copied;
      } finally {
        await to.close();
      }
    } finally {
      await from.close();
    }
  } catch (cause) {
    throw new CliError(`ca keystore: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function copiedText({ authority, issuers, jwtKeys, revoked, issued, tokens }: CopiedKeystore, { from, to }: Options, name: string): string {
  const what = [authority ? 'the authority' : 'no authority', `${issuers} plugged-in issuing CAs`, `${jwtKeys} JWT keys`, `${revoked} revoked and ${issued} issued certificates`, `${tokens} join tokens`].join(', ');
  const next = name === 'move' ? `No citadel starts on ${from} any more. Its files are still there, with keys: delete them when all is well.` : `Both are the same authority: let a citadel run on one of them only.`;
  return `Copied and compared, ${from} to ${to}: ${what}.\n${next}`;
}
