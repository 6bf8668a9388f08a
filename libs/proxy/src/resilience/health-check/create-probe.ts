import type { HealthCheck } from '@meltemi/snapshot';
import type { Host } from '../../balance/index.ts';
import { HttpProbe } from './http-probe.ts';
import type { CheckTransport, Probe } from './probe.ts';
import { TcpProbe } from './tcp-probe.ts';

export type { CheckTransport } from './probe.ts';

export interface ProbeOptions {
  readonly host: Host;
  readonly clusterName: string;
  /** Checks go over TLS. */
  readonly secure: boolean;
  readonly transport: CheckTransport;
  onVerify(): void;
}

/** The probe that a check asks for. */
export function createProbe({ kind, reuseConnection }: HealthCheck, options: ProbeOptions): Probe {
  const { host, clusterName, secure, transport } = options;
  const own = host.endpoint.healthCheck?.hostname ?? '';
  switch (kind.kind) {
    case 'http':
      return new HttpProbe(kind, { transport, reuse: reuseConnection, authority: own || kind.host || clusterName, scheme: secure ? 'https' : 'http', onVerify: () => options.onVerify() });
    case 'tcp':
      return new TcpProbe(kind, transport, reuseConnection);
    case 'grpc':
      throw new Error('a gRPC check needs HTTP/2: compileCluster refuses it');
  }
}
