import { credentials } from '@grpc/grpc-js';
import { JoinTokensClient, type CreateJoinTokenResponse } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { parseDurationMs } from '@meltemi/base';
import { CliError, exitCode } from '../../cli-error.ts';
import type { CommandModule } from '../../command.ts';
import { outputFormat, print } from '../../output.ts';
import { call } from '../../pilot-client.ts';

/** `meltemi token create`: a single-use join token for one identity, for a proxy that starts by hand or on a VM. */
export const tokenCommand: CommandModule = (program, { output, context }) => {
  const token = program.command('token').description('make join tokens: how a new proxy proves who it may be');
  token.command('create')
    .description('make a single-use join token, bound to one identity')
    .argument('<spiffe-id>', 'spiffe://<trust domain>/ns/<namespace>/sa/<service account>')
    .option('--ttl <duration>', 'how long it may be used', '10m')
    .option('-o, --output <format>', 'table (the token alone), json or yaml')
    .action(async (spiffeId: string, options: { ttl: string; output?: string }) => {
      const ttl = parseDurationMs(options.ttl);
      if (!ttl.ok) throw new CliError(`--ttl: ${ttl.error[0]?.message ?? 'not a duration'}`, exitCode.usage);
      const socket = context().citadelSocket;
      if (!socket) throw new CliError('The context names no citadelSocket: run this where citadel runs, with its --socket in the context file.');
      const client = new JoinTokensClient(`unix:${socket}`, credentials.createInsecure());
      try {
        const reply = await call<{ spiffeId: string; ttlSeconds: bigint }, CreateJoinTokenResponse>((request, metadata, settings, callback) => client.create(request, metadata, settings, callback), { spiffeId, ttlSeconds: BigInt(Math.round(ttl.value / 1000)) });
        print(output, outputFormat(options.output), reply, () => reply.token);
      } finally {
        client.close();
      }
    });
};
