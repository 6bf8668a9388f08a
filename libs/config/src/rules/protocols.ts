/** How Istio groups the protocol of a port. undefined: not a protocol it knows. */
export type ProtocolFamily = 'http' | 'tls' | 'https' | 'tcp' | 'udp';

const families: Readonly<Record<string, ProtocolFamily>> = {
  HTTP: 'http',
  HTTP2: 'http',
  HTTP_PROXY: 'http',
  GRPC: 'http',
  'GRPC-WEB': 'http',
  HTTPS: 'https',
  TLS: 'tls',
  TCP: 'tcp',
  MONGO: 'tcp',
  REDIS: 'tcp',
  MYSQL: 'tcp',
  UDP: 'udp',
};

/** Case does not matter. */
export function protocolFamily(protocol: string): ProtocolFamily | undefined {
  return families[protocol.toUpperCase()];
}

export function isHttpProtocol(protocol: string): boolean {
  return protocolFamily(protocol) === 'http';
}

export function isTlsProtocol(protocol: string): boolean {
  const family = protocolFamily(protocol);
  return family === 'tls' || family === 'https';
}

export function protocolReason(protocol: string): string | undefined {
  return protocolFamily(protocol) === undefined ? `"${protocol}" is not a protocol: use ${Object.keys(families).join(', ')}` : undefined;
}

/** "" means: find out by looking at the bytes. */
export function optionalProtocolReason(protocol: string): string | undefined {
  return protocol === '' ? undefined : protocolReason(protocol);
}
