import { credentials, Metadata } from '@grpc/grpc-js';
import { JoinTokensClient } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';

/** Asks citadel, over its Unix socket, for a single-use token bound to one identity. */
export function createJoinToken(socket: string, spiffeId: string): Promise<string> {
  const client = new JoinTokensClient(`unix:${socket}`, credentials.createInsecure());
  return new Promise<string>((resolve, reject) => {
    client.create({ spiffeId, ttlSeconds: 600n }, new Metadata(), { deadline: Date.now() + 10_000 }, (cause, reply) => (cause ? reject(cause) : resolve(reply.token)));
  }).finally(() => client.close());
}
