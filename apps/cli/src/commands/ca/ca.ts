import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { outputFormat, print } from '../../output.ts';
import { waitMs } from '../../wait-call.ts';
import { connectCitadel } from './citadel-client.ts';
import { addKeystoreCommands } from './keystore.ts';
import { rotate } from './rotate.ts';
import { phaseLine, revokedText, statusText } from './status-text.ts';

/** `meltemi ca status`, `meltemi ca revoke`, `meltemi ca keystore` and `meltemi ca rotate`: the mesh's authority, what it has taken back, and a change of its root without cutting anybody off. */
export const caCommand: CommandModule = (program, { output, context }) => {
  const ca = program.command('ca').description("citadel's authority: which roots are believed, and how to change the root");
  ca.command('status')
    .description('roots, the issuing CA, what ends soon, what is revoked, a rotation under way, who trusts what and who lags')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (options: { output?: string }) => {
      const format = outputFormat(options.output);
      const client = connectCitadel(context());
      try {
        const status = await client.status();
        print(output, format, status, () => statusText(status));
      } finally {
        client.close();
      }
    });
  ca.command('revoke')
    .description('revoke certificates for good: no new connection is made with them, and they do not renew; open connections stay')
    .argument('[serials...]', 'serial numbers, as citadel\'s log and openssl show them')
    .option('--identity <id>', 'all certificates of this SPIFFE id that were issued until now')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (serials: string[], options: { identity?: string; output?: string }) => {
      const format = outputFormat(options.output);
      if (serials.length === 0 && options.identity === undefined) throw new CliError('ca revoke: name serial numbers, or an identity with --identity', exitCode.usage);
      const bad = serials.find((serial) => !/^[0-9a-f]{1,40}$/i.test(serial.replaceAll(':', '')));
      if (bad !== undefined) throw new CliError(`ca revoke: ${JSON.stringify(bad)} is no serial number: 1 to 40 hex digits`, exitCode.usage);
      const client = connectCitadel(context());
      try {
        const revoked = await client.revoke({ serials, spiffeId: options.identity ?? '' });
        print(output, format, revoked, () => revokedText(revoked, options.identity));
      } finally {
        client.close();
      }
    });
  ca.command('rotate')
    .description('change the root: distribute a new one, wait until every proxy trusts it, sign with it, retire the old one; cuts nobody off')
    .argument('[action]', 'start, step, pause, resume or back; without one all is done, waiting for proxies in between')
    .option('--without <name...>', 'with step or back: cut these off all the same (proxy names, SPIFFE ids; silent: callers that do not report)')
    .option('--timeout <duration>', 'how long to wait for the end; the rotation goes on after that', '30m')
    .option('--no-wait', 'start it, and do not wait')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (action: string | undefined, options: { without?: string[]; timeout: string; wait: boolean; output?: string }) => {
      const format = outputFormat(options.output);
      const timeoutMs = waitMs('--timeout', options.timeout);
      const client = connectCitadel(context());
      try {
        const status = await rotate(client, action, { options: { without: options.without ?? [], timeoutMs, wait: options.wait }, output });
        print(output, format, status, () => phaseLine(status));
      } finally {
        client.close();
      }
    });
  addKeystoreCommands(ca, output);
};
