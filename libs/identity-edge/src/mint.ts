import { credentials, Metadata } from '@grpc/grpc-js';
import { JoinTokensClient } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { formatSpiffeId, type SpiffeId } from '@meltemi/identity';

const callDeadlineMs = 10_000;

/** Mints a join token at citadel's Unix socket: for start-up tools, tests and the CLI. Rejects with citadel's text. */
export async function mintJoinToken(socketPath: string, identity: string | SpiffeId, options: { readonly ttlSeconds?: number } = {}): Promise<string> {
  const client = new JoinTokensClient(`unix:${socketPath}`, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
  const request = { spiffeId: typeof identity === 'string' ? identity : formatSpiffeId(identity), ttlSeconds: BigInt(options.ttlSeconds ?? 0) };
  try {
    return await new Promise((resolve, reject) => {
      client.create(request, new Metadata(), { deadline: Date.now() + callDeadlineMs }, (error, response) => {
        if (error) reject(new Error(`no join token from ${socketPath}: ${error.details}`, { cause: error }));
        else resolve(response.token);
      });
    });
  } finally {
    client.close();
  }
}
