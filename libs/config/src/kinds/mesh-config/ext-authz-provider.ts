import type { Findings } from '../../rules/findings.ts';
import { fqdnReason } from '../../rules/hosts.ts';
import { isIpAddress } from '../../rules/addresses.ts';
import { object, stringMap, strings } from '../../schema/containers.ts';
import { bool, duration, int, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import type { DurationMs, StringMap } from '../types.ts';

/** How much of a request's body an authorization service is shown. */
export interface ExtAuthzRequestBody {
  readonly maxRequestBytes: number;
  readonly allowPartialMessage: boolean;
  readonly packAsBytes: boolean;
}

interface ExtAuthzService {
  /** "host" or "namespace/host". */
  readonly service: string;
  readonly port: number;
  /** Default 600 s. */
  readonly timeout?: DurationMs;
  /** Lets requests pass when the service cannot be asked. */
  readonly failOpen: boolean;
  readonly clearRouteCache: boolean;
  /** HTTP status when the service cannot be asked; "" is 403. */
  readonly statusOnError: string;
  readonly includeRequestBodyInCheck?: ExtAuthzRequestBody;
}

/** An authorization service over gRPC (envoy.service.auth.v3). */
export type ExtAuthzGrpcProvider = ExtAuthzService;

/** An authorization service over plain HTTP. Header lists may hold "prefix*" and "*suffix". */
export interface ExtAuthzHttpProvider extends ExtAuthzService {
  readonly pathPrefix: string;
  /** The old name of includeRequestHeadersInCheck. */
  readonly includeHeadersInCheck: readonly string[];
  readonly includeRequestHeadersInCheck: readonly string[];
  readonly includeAdditionalHeadersInCheck: StringMap;
  readonly headersToUpstreamOnAllow: readonly string[];
  readonly headersToDownstreamOnDeny: readonly string[];
  readonly headersToDownstreamOnAllow: readonly string[];
}

const service = {
  service: required(string({ minLength: 1 })),
  port: required(int('uint32', { min: 1, max: 65_535 })),
  timeout: optional(duration()),
  failOpen: bool(),
  clearRouteCache: bool(),
  statusOnError: string(),
  includeRequestBodyInCheck: optional(object<ExtAuthzRequestBody>({ maxRequestBytes: required(int('uint32', { min: 1 })), allowPartialMessage: bool(), packAsBytes: bool() })),
};

export const extAuthzGrpc = object<ExtAuthzGrpcProvider>(service);

export const extAuthzHttp = object<ExtAuthzHttpProvider>({
  ...service,
  pathPrefix: string(),
  includeHeadersInCheck: strings(),
  includeRequestHeadersInCheck: strings(),
  includeAdditionalHeadersInCheck: stringMap(),
  headersToUpstreamOnAllow: strings(),
  headersToDownstreamOnDeny: strings(),
  headersToDownstreamOnAllow: strings(),
});

/** What both forms have in common, and the HTTP form's path. */
export function checkExtAuthz(provider: ExtAuthzGrpcProvider | ExtAuthzHttpProvider, path: string, findings: Findings): void {
  findings.check(`${path}.service`, serviceReason(provider.service));
  if (provider.statusOnError !== '' && !isEnvoyStatus(provider.statusOnError)) findings.error(`${path}.statusOnError`, `"${provider.statusOnError}" is not an HTTP status like "503"`);
  if ('pathPrefix' in provider && provider.pathPrefix !== '' && !/^\/[^?#\s]*$/.test(provider.pathPrefix)) findings.error(`${path}.pathPrefix`, 'must begin with "/" and hold neither "?", "#" nor blanks');
}

/** Why it does not name the service of a provider. */
export function serviceReason(text: string): string | undefined {
  const [namespace, host, ...more] = text.includes('/') ? text.split('/') : ['', text];
  if (more.length > 0 || host === undefined || host === '' || (namespace === '' && text.includes('/'))) return `"${text}" must be "host" or "namespace/host"`;
  return isIpAddress(host) ? undefined : fqdnReason(host);
}

/** The codes of envoy.type.v3.StatusCode. */
function isEnvoyStatus(text: string): boolean {
  const code = /^\d{3}$/.test(text) ? Number(text) : 0;
  return envoyStatuses.has(code);
}

const envoyStatuses: ReadonlySet<number> = new Set([
  100, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416,
  417, 421, 422, 423, 424, 426, 428, 429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
]);
