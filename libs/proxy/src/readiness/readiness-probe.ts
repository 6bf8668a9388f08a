import { err, ok, type FieldError, type Result } from '@meltemi/base';

/** How an application is asked whether it is ready. */
export type ReadinessCheck =
  | { readonly kind: 'http'; readonly scheme: 'http' | 'https'; readonly host: string; readonly port: number; readonly path: string; readonly headers: readonly (readonly [string, string])[] }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'exec'; readonly command: readonly [string, ...string[]] }
  | { readonly kind: 'grpc'; readonly host: string; readonly port: number; readonly service: string };

/** A readiness probe of Istio's ProxyConfig or WorkloadGroup, with its defaults. */
export interface ReadinessProbe {
  readonly check: ReadinessCheck;
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  /** So many in a row make it ready. */
  readonly successThreshold: number;
  /** So many in a row make it not ready. */
  readonly failureThreshold: number;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads a probe as its JSON says it; `host` is asked where it names none. The defaults are Istio's, which are Kubernetes'. */
export function parseReadinessProbe(json: unknown, host: string): Result<ReadinessProbe> {
  const errors: FieldError[] = [];
  const probe = fields(json);
  const seconds = (name: string, byDefault: number, least: number) => wholeNumber(probe, name, errors, { byDefault, least });
  const check = checkOf(probe, host, errors);
  const read = {
    initialDelayMs: seconds('initialDelaySeconds', 0, 0) * 1000, periodMs: seconds('periodSeconds', 10, 1) * 1000, timeoutMs: seconds('timeoutSeconds', 1, 1) * 1000,
    successThreshold: seconds('successThreshold', 1, 1), failureThreshold: seconds('failureThreshold', 3, 1),
  };
  return check && errors.length === 0 ? ok({ check, ...read }) : err(errors);
}

function checkOf(probe: Fields, defaultHost: string, errors: FieldError[]): ReadinessCheck | undefined {
  const ways = ['httpGet', 'tcpSocket', 'exec', 'grpc'].filter((way) => probe[way] !== undefined);
  const [way = ''] = ways;
  if (ways.length !== 1) {
    errors.push({ path: '', message: 'needs exactly one of httpGet, tcpSocket, exec and grpc' });
    return undefined;
  }
  const said = fields(probe[way]);
  if (way === 'exec') return execOf(said, errors);
  const port = wholeNumber(said, 'port', errors, { byDefault: 0, least: 1, most: 65_535, path: `${way}.` });
  const host = text(said['host']) || defaultHost;
  if (way === 'tcpSocket') return { kind: 'tcp', host, port };
  if (way === 'grpc') return { kind: 'grpc', host, port, service: text(said['service']) };
  const path = text(said['path']);
  if (/[^\x21-\x7e]/.test(path)) errors.push({ path: 'httpGet.path', message: 'must be ASCII without blanks: write others with %' });
  return { kind: 'http', scheme: text(said['scheme']).toLowerCase() === 'https' ? 'https' : 'http', host, port, path: path.startsWith('/') ? path : `/${path}`, headers: headersOf(said['httpHeaders'], errors) };
}

function execOf({ command }: Fields, errors: FieldError[]): ReadinessCheck | undefined {
  const [program, ...args] = Array.isArray(command) ? command.map(text) : [];
  if (program) return { kind: 'exec', command: [program, ...args] };
  errors.push({ path: 'exec.command', message: 'needs a program' });
  return undefined;
}

function headersOf(written: unknown, errors: FieldError[]): readonly (readonly [string, string])[] {
  return (Array.isArray(written) ? written : []).map((header, i) => {
    const { name, value } = fields(header);
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text(name))) errors.push({ path: `httpGet.httpHeaders[${i}].name`, message: 'is not the name of a header' });
    if (/[^\t\x20-\x7e]/.test(text(value))) errors.push({ path: `httpGet.httpHeaders[${i}].value`, message: 'must be ASCII without control characters' });
    return [text(name), text(value)] as const;
  });
}

/** 0 and nothing are the default. */
function wholeNumber(from: Fields, name: string, errors: FieldError[], { byDefault, least, most = 86_400, path = '' }: { readonly byDefault: number; readonly least: number; readonly most?: number; readonly path?: string }): number {
  const written = from[name] ?? 0;
  const number = typeof written === 'string' && /^\d+$/.test(written) ? Number(written) : written;
  if (number === 0 && byDefault >= least) return byDefault;
  if (typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most) return number;
  errors.push({ path: `${path}${name}`, message: `must be a whole number of ${least} to ${most}` });
  return byDefault;
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
