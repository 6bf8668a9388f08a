/** A Bookinfo service's settings, from the environment variables the well-known sample uses. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly podName: string;
  readonly clusterName: string;
  readonly enableRatings: boolean;
  readonly starColor: string;
  readonly details: string;
  readonly reviews: string;
  readonly ratings: string;
}

/** `argv` is what follows the service's name: an optional port. The default address is every interface's port 9080. */
export function settingsFrom(env: Readonly<Record<string, string | undefined>>, argv: readonly string[] = []): Settings {
  const domain = env['SERVICES_DOMAIN'] ? `.${env['SERVICES_DOMAIN']}` : '';
  const base = (name: string) => {
    const upper = name.toUpperCase();
    return `http://${env[`${upper}_HOSTNAME`] ?? name}${domain}:${env[`${upper}_SERVICE_PORT`] ?? '9080'}`;
  };
  const version = env['SERVICE_VERSION'] ?? 'v1';
  return {
    host: env['HOST'] ?? '0.0.0.0',
    port: Number(argv[0] ?? env['PORT'] ?? 9080),
    version,
    podName: env['POD_NAME'] ?? env['HOSTNAME'] ?? 'unknown',
    clusterName: env['CLUSTER_NAME'] ?? 'Kubernetes',
    enableRatings: env['ENABLE_RATINGS'] === undefined ? version !== 'v1' : env['ENABLE_RATINGS'] === 'true',
    starColor: env['STAR_COLOR'] ?? (version === 'v3' ? 'red' : 'black'),
    details: base('details'),
    reviews: base('reviews'),
    ratings: base('ratings'),
  };
}
