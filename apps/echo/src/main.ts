import type { AddressInfo, Server } from 'node:net';
import { bindGrpc, grpcEcho } from './grpc-echo.ts';
import { httpEcho } from './http-echo.ts';
import { settingsFrom, usage } from './settings.ts';
import { tcpEcho } from './tcp-echo.ts';

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (argv.includes('--help')) return console.log(usage);
  const settings = settingsFrom(argv, process.env);
  if (typeof settings === 'string') {
    console.error(`${settings}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  const ports: Record<string, number> = {};
  if (settings.httpPort !== undefined) ports['http'] = await listen(httpEcho(settings), settings.host, settings.httpPort);
  if (settings.tcpPort !== undefined) ports['tcp'] = await listen(tcpEcho(settings), settings.host, settings.tcpPort);
  if (settings.grpcPort !== undefined) ports['grpc'] = await bindGrpc(grpcEcho(settings), settings.host, settings.grpcPort);
  console.log(JSON.stringify({ listening: ports, host: settings.host, version: settings.version }));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0));
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

main().catch((cause: unknown) => {
  console.error(cause instanceof Error ? cause.message : cause);
  process.exitCode = 1;
});
