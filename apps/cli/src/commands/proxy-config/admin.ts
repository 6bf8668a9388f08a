import { Agent, request } from 'undici';
import { CliError, exitCode } from '../../cli-error.ts';
import type { MeshContext } from '../../context.ts';

const timeoutMs = 10_000;

/** The admin URL of the proxy a user means; fails listing the proxies there are. */
export function proxyAdmin(proxy: string | undefined, admin: string | undefined, context: () => MeshContext): string {
  if (admin !== undefined) return admin.replace(/\/$/, '');
  if (proxy === undefined) throw new CliError('Name a proxy (meltemi proxy-status lists them), or give its --admin address.', exitCode.usage);
  const { proxies } = context();
  const found = proxies.filter((each) => each.id === proxy || each.id.startsWith(proxy));
  if (found[0] && (found.length === 1 || found[0].id === proxy)) return found[0].admin;
  const names = (found.length === 0 ? proxies : found).map((each) => `  ${each.id}`).join('\n');
  throw new CliError(`${found.length === 0 ? `No proxy ${proxy}` : `${proxy} could be several proxies`}. There are:\n${names || '  none'}`);
}

/** GETs an admin page as JSON. `admin` is a URL, or unix:/path of a Unix socket. */
export async function fetchAdmin(admin: string, path: string): Promise<unknown> {
  let body: string;
  const socketPath = admin.startsWith('unix:') ? admin.slice('unix:'.length) : undefined;
  const dispatcher = new Agent({ connect: { timeout: timeoutMs, ...(socketPath !== undefined && { socketPath }) } });
  try {
    const reply = await request(`${socketPath === undefined ? admin : 'http://localhost'}${path}`, { dispatcher, headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
    body = await reply.body.text();
    if (reply.statusCode !== 200) throw new CliError(`${admin}${path} answered ${reply.statusCode}: ${body.slice(0, 200)}`);
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError(`The proxy's admin page ${admin}${path} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}. Is the proxy running?`);
  } finally {
    await dispatcher.close();
  }
  try {
    return JSON.parse(body);
  } catch {
    throw new CliError(`${admin}${path} did not answer with JSON: is this a proxy's admin port?`);
  }
}
