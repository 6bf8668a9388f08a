import { Client, Server, type ClientDuplexStream, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';
import { formatSpiffeId } from '@meltemi/identity';
import { callerIdentity, channelCredentials, meshChannelOptions, serverCredentials, type IdentityAgent, type ServerCredentialsOptions } from '@meltemi/identity-edge';

const same = (bytes: Buffer): Buffer => bytes;
const method = { path: '/test.Echo/Stream', requestStream: true, responseStream: true, requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same } as const;

/** A bidirectional echo over mTLS that answers "<caller> <bytes>". */
export async function startEcho(agent: IdentityAgent, options: ServerCredentialsOptions = {}): Promise<{ server: Server; port: number; peers: () => ReadonlySet<string> }> {
  const server = new Server();
  const peers = new Set<string>();
  server.addService({ stream: method } satisfies ServiceDefinition, {
    stream: (call: ServerDuplexStream<Buffer, Buffer>) => {
      const caller = callerIdentity(call);
      peers.add(call.getPeer());
      call.on('data', (bytes: Buffer) => call.write(Buffer.from(`${caller.ok ? formatSpiffeId(caller.value) : 'nobody'} ${bytes.toString()}`)));
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', serverCredentials(agent, options), (error, bound) => (error ? reject(error) : resolve(bound))));
  return { server, port, peers: () => peers };
}

/** A stream to the echo that expects one server identity; `problem()` says why it ended, if it did. */
export function openEcho(port: number, agent: IdentityAgent, server: Parameters<typeof channelCredentials>[1]): { client: Client; stream: ClientDuplexStream<Buffer, Buffer>; received: string[]; problem: () => string | undefined } {
  const client = new Client(`127.0.0.1:${port}`, channelCredentials(agent, server), meshChannelOptions);
  const stream = client.makeBidiStreamRequest(method.path, same, same);
  const received: string[] = [];
  let problem: string | undefined;
  stream.on('data', (bytes: Buffer) => received.push(bytes.toString()));
  stream.on('error', (error) => (problem = error.message));
  return { client, stream, received, problem: () => problem };
}
