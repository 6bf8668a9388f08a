/** The route table of the HTTP proxy port. */
export const httpProxyRouteName = 'http_proxy';

/** What a generated route table name says. */
export type RouteName =
  | { readonly kind: 'outbound'; readonly port: number }
  | { readonly kind: 'inbound'; readonly port: number }
  /** A gateway server: "http.8080", or "https.443.https.bookinfo-gateway.default" with the server's port name, gateway and namespace. */
  | { readonly kind: 'gateway'; readonly protocol: 'http' | 'https'; readonly port: number; readonly server: string }
  | { readonly kind: 'http-proxy' };

/** Outbound routes are shared by everything on one port: "9080". */
export function outboundRoute(port: number): string {
  return String(port);
}

/** "inbound|9080||" */
export function inboundRoute(port: number): string {
  return `inbound|${port}||`;
}

/** Plain HTTP servers of one gateway port share a table: "http.8080". */
export function gatewayHttpRoute(port: number): string {
  return `http.${port}`;
}

/** Each TLS-terminating server has its own table: "https.443.<port name>.<gateway>.<namespace>". Source: Istio's `GatewayRDSRouteName`. */
export function gatewayHttpsRoute(server: { readonly port: number; readonly portName: string; readonly gateway: string; readonly namespace: string }): string {
  return `https.${server.port}.${server.portName}.${server.gateway}.${server.namespace}`;
}

/** Reads any of the names above; undefined for another one. */
export function parseRouteName(name: string): RouteName | undefined {
  if (name === httpProxyRouteName) return { kind: 'http-proxy' };
  const outbound = portOf(/^([0-9]+)$/.exec(name)?.[1]);
  if (outbound !== undefined) return { kind: 'outbound', port: outbound };
  const inbound = portOf(/^inbound\|([0-9]+)\|\|$/.exec(name)?.[1]);
  if (inbound !== undefined) return { kind: 'inbound', port: inbound };
  const gateway = /^(http|https)\.([0-9]+)(?:\.(.+))?$/.exec(name);
  const port = portOf(gateway?.[2]);
  if (!gateway || port === undefined) return undefined;
  return { kind: 'gateway', protocol: gateway[1] === 'https' ? 'https' : 'http', port, server: gateway[3] ?? '' };
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || text.length > 5 || Number(text) > 65535) return undefined;
  return Number(text);
}
