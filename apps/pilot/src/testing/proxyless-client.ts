import { createInterface } from 'node:readline';
import { credentials } from '@grpc/grpc-js';
import { register } from '@grpc/grpc-js-xds';
import { EchoClient, type EchoResponse } from '@meltemi/api/gen/meltemi/echo/v1/echo.ts';

/**
 * A gRPC application without a sidecar, as its author would write it: `GRPC_XDS_BOOTSTRAP=… node proxyless-client.ts xds:///host:port`.
 * Every line "N" on standard input makes N calls and prints how many each version answered, as JSON.
 */
register();
const echo = new EchoClient(process.argv[2] ?? '', credentials.createInsecure());

for await (const line of createInterface({ input: process.stdin })) {
  const answers: Record<string, number> = {};
  for (let index = 0; index < Number(line); index++) {
    const answer = await call();
    answers[answer] = (answers[answer] ?? 0) + 1;
  }
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
process.exit(0);

function call(): Promise<string> {
  return new Promise((resolve) => {
    echo.echo({ message: 'hello' }, { deadline: Date.now() + 5000 } as never, (error: Error | null, response?: EchoResponse) => resolve(error ? `error: ${error.message}` : (response?.version ?? '')));
  });
}
