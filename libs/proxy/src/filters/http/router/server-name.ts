import type { RequestHead } from '@meltemi/http';
import type { Cluster } from '@meltemi/snapshot';

/**
 * The name that the upstream is to be called and to prove (auto_sni, auto_san_validation): the host of the request as it goes out, without
 * port, or of another header. "" when the cluster asks for none. @hot
 */
export function serverNameFor({ http }: Cluster, request: RequestHead): string {
  if (!http.autoSni && !http.autoSanValidation) return '';
  const value = http.overrideAutoSniHeader === '' ? request.authority : (request.field(http.overrideAutoSniHeader) ?? request.authority);
  const bracket = value.indexOf(']');
  if (value.startsWith('[') && bracket > 0) return value.slice(1, bracket);
  const colon = value.indexOf(':');
  return (colon < 0 ? value : value.slice(0, colon)).toLowerCase();
}
