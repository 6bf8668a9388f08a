import { list, object, stringMap, strings } from '../../schema/containers.ts';
import { bool, bytes, int, oneOf, someTime, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { destination, percent, stringMatch, stringMatches } from '../schema.ts';
import type * as vs from './types.ts';

const headerOperations = object<vs.HeaderOperations>({ set: stringMap(), add: stringMap(), remove: strings() });

const headers = object<vs.Headers>({ request: optional(headerOperations), response: optional(headerOperations) });

const match = object<vs.HttpMatchRequest>({
  name: string(),
  uri: optional(stringMatch),
  scheme: optional(stringMatch),
  method: optional(stringMatch),
  authority: optional(stringMatch),
  headers: stringMatches,
  port: int('uint32'),
  sourceLabels: stringMap(),
  gateways: strings(),
  queryParams: stringMatches,
  ignoreUriCase: bool(),
  withoutHeaders: stringMatches,
  sourceNamespace: string(),
  statPrefix: string(),
});

const redirect = object<vs.HttpRedirect>(
  {
    uri: string(),
    authority: string(),
    port: optional(int('uint32')),
    derivePort: optional(oneOf(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'])),
    scheme: string(),
    redirectCode: int('uint32'),
    prefixRewrite: string(),
  },
  { oneofs: [{ keys: ['port', 'derivePort'] }] },
);

const directResponse = object<vs.HttpDirectResponse>({
  status: required(int('uint32')),
  body: optional(object<vs.HttpBody>({ string: optional(string()), bytes: optional(bytes()) }, { oneofs: [{ keys: ['string', 'bytes'] }] })),
});

const rewrite = object<vs.HttpRewrite>({
  uri: string(),
  authority: string(),
  uriRegexRewrite: optional(object<vs.RegexRewrite>({ match: string(), rewrite: string() })),
});

/** Also MeshConfig.defaultHttpRetryPolicy. */
export const retries = object<vs.HttpRetry>({
  attempts: int('int32'),
  perTryTimeout: optional(someTime()),
  retryOn: string(),
  retryRemoteLocalities: optional(bool()),
  retryIgnorePreviousHosts: optional(bool()),
  backoff: optional(someTime()),
});

const corsPolicy = object<vs.CorsPolicy>({
  allowOrigin: strings(),
  allowOrigins: list(stringMatch),
  allowMethods: strings(),
  allowHeaders: strings(),
  exposeHeaders: strings(),
  maxAge: optional(someTime()),
  allowCredentials: optional(bool()),
  unmatchedPreflights: oneOf(['UNSPECIFIED', 'FORWARD', 'IGNORE']),
});

const fault = object<vs.HttpFaultInjection>({
  delay: optional(
    object<vs.FaultDelay>(
      { percent: int('int32'), fixedDelay: optional(someTime()), exponentialDelay: optional(someTime()), percentage: optional(percent) },
      { oneofs: [{ keys: ['fixedDelay', 'exponentialDelay'] }] },
    ),
  ),
  abort: optional(
    object<vs.FaultAbort>(
      { httpStatus: optional(int('int32')), grpcStatus: optional(string()), http2Error: optional(string()), percentage: optional(percent) },
      { oneofs: [{ keys: ['httpStatus', 'grpcStatus', 'http2Error'] }] },
    ),
  ),
});

const httpRoute = object<vs.HttpRoute>({
  name: string(),
  match: list(match),
  route: list(object<vs.HttpRouteDestination>({ destination: required(destination), weight: int('int32'), headers: optional(headers) })),
  redirect: optional(redirect),
  directResponse: optional(directResponse),
  delegate: optional(object<vs.Delegate>({ name: string(), namespace: string() })),
  rewrite: optional(rewrite),
  timeout: optional(someTime()),
  retries: optional(retries),
  fault: optional(fault),
  mirror: optional(destination),
  mirrors: list(object<vs.HttpMirrorPolicy>({ destination: required(destination), percentage: optional(percent) })),
  mirrorPercent: optional(int('uint32')),
  mirrorPercentage: optional(percent),
  corsPolicy: optional(corsPolicy),
  headers: optional(headers),
});

const routes = list(object<vs.RouteDestination>({ destination: required(destination), weight: int('int32') }));

const tlsMatch = object<vs.TlsMatchAttributes>({
  sniHosts: required(strings()),
  destinationSubnets: strings(),
  port: int('uint32'),
  sourceLabels: stringMap(),
  gateways: strings(),
  sourceNamespace: string(),
});

const l4Match = object<vs.L4MatchAttributes>({
  destinationSubnets: strings(),
  port: int('uint32'),
  sourceSubnet: string(),
  sourceLabels: stringMap(),
  gateways: strings(),
  sourceNamespace: string(),
});

export const schema = object<vs.VirtualServiceSpec>({
  hosts: strings(),
  gateways: strings(),
  http: list(httpRoute),
  tls: list(object<vs.TlsRoute>({ match: required(list(tlsMatch)), route: routes })),
  tcp: list(object<vs.TcpRoute>({ match: list(l4Match), route: routes })),
  exportTo: strings(),
});
