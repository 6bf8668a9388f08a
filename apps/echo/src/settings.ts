/** Where an echo instance listens and what it says of itself. A port of undefined means: not served. */
export interface Settings {
  readonly host: string;
  readonly httpPort: number | undefined;
  readonly tcpPort: number | undefined;
  readonly grpcPort: number | undefined;
  readonly instance: string;
  readonly version: string;
}

export const usage = `usage: echo [--host 0.0.0.0] [--http PORT] [--tcp PORT] [--grpc PORT] [--instance NAME] [--version VERSION]

HTTP answers with what it was sent, as JSON; query: status=503, delay=500ms, size=1024, header=name:value.
TCP prefixes every line with the version, like Istio's tcp-echo. gRPC serves meltemi.echo.v1.Echo. Port 0 means any; what was bound is printed.`;

/** Reads the flags; returns the reason when one is unknown or lacks a value. Environment: HOST, SERVICE_VERSION, POD_NAME. */
export function settingsFrom(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Settings | string {
  const flags = new Map<string, string>();
  for (let i = 0; i < argv.length; i += 2) {
    const flag = argv[i] ?? '';
    const value = argv[i + 1];
    if (!['--host', '--http', '--tcp', '--grpc', '--instance', '--version'].includes(flag)) return `unknown flag ${flag}`;
    if (value === undefined) return `${flag} needs a value`;
    flags.set(flag, value);
  }
  const port = (flag: string) => (flags.has(flag) ? Number(flags.get(flag)) : undefined);
  return {
    host: flags.get('--host') ?? env['HOST'] ?? '0.0.0.0',
    httpPort: port('--http'), tcpPort: port('--tcp'), grpcPort: port('--grpc'),
    instance: flags.get('--instance') ?? env['POD_NAME'] ?? 'echo',
    version: flags.get('--version') ?? env['SERVICE_VERSION'] ?? 'v1',
  };
}
