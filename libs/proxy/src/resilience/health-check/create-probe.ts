import type { HealthCheck } from '@meltemi/snapshot';
import type { Host } from '../../balance/index.ts';
import type { Http2CodecOptions } from '../../codec/http2/options.ts';
import { GrpcProbe } from './grpc-probe.ts';
import { HttpProbe } from './http-probe.ts';
import type { CheckTransport, Probe } from './probe.ts';
import { TcpProbe } from './tcp-probe.ts';

export interface ProbeOptions {
  readonly host: Host;
  readonly clusterName: string;
  /** Checks go over TLS. */
  readonly secure: boolean;
  readonly transport: CheckTransport;
  readonly http2: Http2CodecOptions;
  onVerify(): void;
}

/** The probe that a check asks for. */
export function createProbe({ kind, reuseConnection }: HealthCheck, options: ProbeOptions): Probe {
  const { host, clusterName, secure, transport, http2 } = options;
  const own = host.endpoint.healthCheck?.hostname ?? '';
  const over = { transport, reuse: reuseConnection, scheme: secure ? 'https' : 'http', http2 } as const;
  switch (kind.kind) {
    case 'http':
      return new HttpProbe(kind, { ...over, authority: own || kind.host || clusterName, onVerify: () => options.onVerify() });
    case 'tcp':
      return new TcpProbe(kind, transport, reuseConnection);
    case 'grpc':
      return new GrpcProbe(kind, { ...over, authority: own || kind.authority || clusterName });
  }
}
