import type { Protocol } from './model.ts';

const byName: Readonly<Record<string, Protocol>> = {
  http: 'HTTP',
  http2: 'HTTP2',
  https: 'HTTPS',
  grpc: 'GRPC',
  'grpc-web': 'GRPC_WEB',
  http_proxy: 'HTTP_PROXY',
  tcp: 'TCP',
  tls: 'TLS',
  mongo: 'MONGO',
  mysql: 'MYSQL',
  redis: 'REDIS',
  udp: 'UDP',
};

const byAppProtocol: Readonly<Record<string, Protocol>> = {
  'kubernetes.io/h2c': 'HTTP2',
  'kubernetes.io/ws': 'HTTP',
  'kubernetes.io/wss': 'HTTPS',
};

/** Ports whose servers speak first: sniffing would wait for ever. SMTP, DNS, MySQL, MongoDB. */
const serverFirstPorts: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

/** A protocol as Gateway and ServiceEntry write it; AUTO for one we do not know. Case does not matter. */
export function parseProtocol(text: string): Protocol {
  const name = text.toLowerCase();
  return byName[name] ?? byName[name.replaceAll('_', '-')] ?? 'AUTO';
}

/** A Kubernetes port's protocol. Order: UDP, appProtocol or else the port's name, up to its first "-", well-known ports, AUTO. */
export function portProtocol(port: { readonly transport: string; readonly appProtocol?: string | undefined; readonly name: string; readonly number: number }): Protocol {
  if (port.transport === 'UDP') return 'UDP';
  const known = byAppProtocol[port.appProtocol ?? ''];
  if (known !== undefined) return known;
  // an application protocol that nobody knows hides the name, as in Istio
  const name = (port.appProtocol ?? port.name).toLowerCase();
  if (name.startsWith('grpc-web')) return 'GRPC_WEB';
  const fromName = byName[name.split('-', 1)[0] ?? ''];
  if (fromName !== undefined) return fromName;
  return serverFirstPorts.has(port.number) ? 'TCP' : 'AUTO';
}
