import { details } from './details.ts';
import { productpage } from './productpage.ts';
import { ratings } from './ratings.ts';
import { reviews } from './reviews.ts';
import { serve, type Handler } from './serve.ts';
import { settingsFrom, type Settings } from './settings.ts';

const services: Readonly<Record<string, (settings: Settings) => Handler>> = {
  productpage,
  details: () => details,
  reviews,
  ratings,
};

const usage = `usage: bookinfo <${Object.keys(services).join('|')}> [port]

Environment: HOST (0.0.0.0), PORT (9080), SERVICE_VERSION (v1), ENABLE_RATINGS, STAR_COLOR, POD_NAME, CLUSTER_NAME, SERVICES_DOMAIN,
{DETAILS,REVIEWS,RATINGS}_HOSTNAME and _SERVICE_PORT. NODE_USE_ENV_PROXY=1 with http_proxy sends calls through a proxy.`;

async function main(): Promise<void> {
  const [name = '', ...rest] = process.argv.slice(2);
  if (name === '--help' || name === '-h') return console.log(usage);
  const make = services[name];
  if (!make) {
    console.error(usage);
    process.exitCode = 2;
    return;
  }
  const settings = settingsFrom(process.env, rest);
  const server = await serve(make(settings), settings);
  const at = server.address();
  console.log(`${name} ${settings.version} listens on ${typeof at === 'object' && at ? `${at.address}:${at.port}` : settings.port}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      server.close(() => process.exit(0));
      server.closeIdleConnections();
      setTimeout(() => process.exit(0), 5000).unref();
    });
}

main().catch((cause: unknown) => {
  console.error(cause instanceof Error ? cause.message : cause);
  process.exitCode = 1;
});
