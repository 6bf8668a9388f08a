import { parse } from 'yaml';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { object, list, map, stringMap, strings, struct, int, oneOf, string, optional, required, withDefault, type Schema, type Struct } from '@meltemi/config';

/** Whose view is asked for: the proxy that takes the calls. */
export interface ProxyQuestion {
  readonly type: 'sidecar' | 'router';
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** "" = an address of no known workload. */
  readonly ip: string;
  /** Besides `ip`: a workload with several (dual stack). */
  readonly ips: readonly string[];
  readonly serviceAccount: string;
  /** Node metadata as the proxy would send it, laid over what follows from the fields above. */
  readonly metadata: Struct;
}

export type CallMode = 'outbound' | 'inbound' | 'gateway';

/** One connection with one request on it. "" and absent mean what the mode makes of it. */
export interface Call {
  /** Outbound: the application behind a sidecar calls. Inbound: somebody calls that application. Gateway: somebody calls a gateway. */
  readonly mode: CallMode;
  /** Destination IP; "" = looked up from `host`, or the proxy's own. */
  readonly address: string;
  /** Destination port; 0 = the port in `host`, else 80, or 443 with TLS. */
  readonly port: number;
  /** gRPC is HTTP/2 with its content type, POST by default. */
  readonly protocol: 'http' | 'http2' | 'grpc' | 'tcp';
  /** What the client speaks: plaintext, TLS without or with a certificate. */
  readonly tls: 'none' | 'tls' | 'mtls';
  readonly sni?: string;
  readonly alpn?: readonly string[];
  readonly host: string;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly sourceAddress: string;
  /** SPIFFE id of the client's certificate, with or without "spiffe://". */
  readonly principal: string;
  /** Claims of a token that is already validated; absent = no token. */
  readonly jwtClaims?: Struct;
  /** What external authorizers answer, by the name of their extensionProvider. */
  readonly extAuthz: Readonly<Record<string, 'allow' | 'deny'>>;
}

export const proxySchema = object<ProxyQuestion>({
  type: oneOf(['sidecar', 'router']),
  namespace: string(),
  labels: stringMap(),
  ip: string(),
  ips: strings(),
  serviceAccount: string(),
  metadata: withDefault(struct(), {}),
});

/** A list, or one text with commas. */
const alpn: Schema<readonly string[]> = {
  type: strings().type,
  decode: (value, path, errors) => strings().decode(typeof value === 'string' ? value.split(',').map((one) => one.trim()).filter((one) => one !== '') : value, path, errors),
  missing: () => [],
};

export const callSchema = object<Call>({
  mode: required(oneOf(['outbound', 'inbound', 'gateway'])),
  address: string(),
  port: int('uint32'),
  protocol: oneOf(['http', 'http2', 'grpc', 'tcp']),
  tls: oneOf(['none', 'tls', 'mtls']),
  sni: optional(string()),
  alpn: optional(alpn),
  host: string(),
  path: string(),
  method: string(),
  headers: stringMap(),
  sourceAddress: string(),
  principal: string(),
  jwtClaims: optional(struct()),
  extAuthz: map(oneOf(['allow', 'deny'])),
});

/** Reads a proxy file (JSON or YAML). Errors name the field. */
export function readProxyQuestion(text: string): Result<ProxyQuestion> {
  const input = read(text, 'a map with type, namespace, labels, ip, serviceAccount and metadata');
  if (!input.ok) return input;
  const errors: FieldError[] = [];
  const proxy = input.value === null || input.value === undefined ? proxySchema.missing('', errors) : proxySchema.decode(input.value, '', errors);
  return errors.length > 0 ? err(errors) : ok(proxy);
}

/** Reads a call file (JSON or YAML): an array of calls, or one call alone. Errors name the call and its field. */
export function readCalls(text: string): Result<readonly Call[]> {
  const input = read(text, 'an array of calls');
  if (!input.ok) return input;
  const errors: FieldError[] = [];
  const written = input.value ?? [];
  const calls = list(callSchema).decode(Array.isArray(written) ? written : [written], 'calls', errors);
  return errors.length > 0 ? err(errors) : ok(calls);
}

function read(text: string, what: string): Result<unknown> {
  try {
    return ok(parse(text, { maxAliasCount: 100, logLevel: 'error' }));
  } catch (error) {
    return err([{ path: '', message: `is neither JSON nor YAML (wanted: ${what}): ${error instanceof Error ? error.message : String(error)}` }]);
  }
}
