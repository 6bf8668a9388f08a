import { list, object } from '../schema/containers.ts';
import { int, string } from '../schema/scalars.ts';
import { optional, required, withCel } from '../schema/schema.ts';
import { portRange } from './schema.ts';

/** How the agent of a workload finds out whether it is ready. Exactly one way is set. */
export interface ReadinessProbe {
  readonly initialDelaySeconds: number;
  /** 0: 1 s. */
  readonly timeoutSeconds: number;
  /** 0: 10 s. */
  readonly periodSeconds: number;
  /** 0: 1. */
  readonly successThreshold: number;
  /** 0: 3. */
  readonly failureThreshold: number;
  readonly httpGet?: HttpProbe;
  readonly tcpSocket?: { readonly host: string; readonly port: number };
  readonly exec?: { readonly command: readonly string[] };
  readonly grpc?: { readonly port: number; readonly service: string };
}

export interface HttpProbe {
  readonly path: string;
  readonly port: number;
  readonly host: string;
  /** "" is HTTP. */
  readonly scheme: string;
  readonly httpHeaders: readonly { readonly name: string; readonly value: string }[];
}

const count = int('int32', { min: 0 });
const port = withCel(int('uint32'), portRange);
const headerName = string({ pattern: { regex: '^[-_A-Za-z0-9]+$', reason: 'is not a header name' } });

const ways = {
  httpGet: optional(
    object<HttpProbe>({
      path: string(),
      port: required(port),
      host: string(),
      scheme: withCel(string(), { rule: "self in ['', 'HTTP', 'HTTPS']", message: 'must be HTTP or HTTPS' }),
      httpHeaders: list(object<HttpProbe['httpHeaders'][number]>({ name: headerName, value: string() })),
    }),
  ),
  tcpSocket: optional(object<NonNullable<ReadinessProbe['tcpSocket']>>({ host: string(), port: required(port) })),
  exec: optional(object<NonNullable<ReadinessProbe['exec']>>({ command: required(list(string({ minLength: 1 }))) })),
  grpc: optional(object<NonNullable<ReadinessProbe['grpc']>>({ port, service: string() })),
};

export const readinessProbe = object<ReadinessProbe>(
  { initialDelaySeconds: count, timeoutSeconds: count, periodSeconds: count, successThreshold: count, failureThreshold: count, ...ways },
  { oneofs: [{ keys: Object.keys(ways) }] },
);
