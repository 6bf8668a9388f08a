import type { TcpProxy_TunnelingConfig } from '@meltemi/api/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import { compileFormat } from '@meltemi/http';
import { checkFields, compileHeaderOps, type Report } from '@meltemi/route';
import { tunnelingFields } from './listener-tables.ts';
import type { TunnelingConfig } from './listener-types.ts';

/** Compiles a tunnel; null when it cannot be run. */
export function compileTunneling(message: TcpProxy_TunnelingConfig, path: string, report: Report): TunnelingConfig | null {
  checkFields(message, tunnelingFields, path, report);
  const { usePost, postPath } = message;
  if (message.hostname === '') report.refuse(`${path}.hostname`, 'is required');
  if (postPath !== '' && !usePost) report.refuse(`${path}.post_path`, 'belongs to use_post');
  if (postPath !== '' && !/^\/[\x21-\x7e]*$/.test(postPath)) report.refuse(`${path}.post_path`, 'must begin with / and have no spaces');
  const hostname = compileFormat(message.hostname);
  if (!hostname.ok) for (const error of hostname.error) report.refuse(`${path}.hostname`, error.message);
  const headers = compileHeaderOps(message.headersToAdd, [], path, 'headers', report);
  if (!hostname.ok) return null;
  return {
    hostname: hostname.value,
    method: usePost ? 'POST' : 'CONNECT',
    path: postPath || '/',
    headers,
    propagateResponseHeaders: message.propagateResponseHeaders,
    propagateResponseTrailers: message.propagateResponseTrailers,
  };
}
