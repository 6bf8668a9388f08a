import type { ExtAuthzGrpcProvider, ExtAuthzHttpProvider } from '@meltemi/config';
import { err, ok, type Result } from '@meltemi/base';
import { HeaderValue } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { ApiVersion } from '@meltemi/api/gen/envoy/config/core/v3/config_source.ts';
import { GrpcService, GrpcService_EnvoyGrpc } from '@meltemi/api/gen/envoy/config/core/v3/grpc_service.ts';
import { HttpUri } from '@meltemi/api/gen/envoy/config/core/v3/http_uri.ts';
import { AuthorizationRequest, AuthorizationResponse, BufferSettings, ExtAuthz, HttpService } from '@meltemi/api/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts';
import { ExtAuthz as NetworkExtAuthz } from '@meltemi/api/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz.ts';
import { type ListStringMatcher, StringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import { HttpStatus } from '@meltemi/api/gen/envoy/type/v3/http_status.ts';
import { outboundCluster } from '@meltemi/xds';
import type { PushContext } from '../../../push-context/push-context.ts';
import { create, duration } from '../../message.ts';
import { tcpStatPrefix } from '../rbac/rbac.ts';

/** The filters that ask an authorization service. Only one that speaks gRPC can be asked about connections. */
export interface Authorizer {
  readonly http: ExtAuthz;
  readonly tcp?: NetworkExtAuthz;
}

/** Istio's default. */
const defaultTimeoutMs = 600_000;

/** The extension provider of this name; or why it cannot be used, and then what it should decide about is denied. */
export function authorizerNamed(push: PushContext, name: string): Result<Authorizer, string> {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return err(`"${name}" is not a name of a provider: 1–63 small letters, digits or "-"`);
  const provider = push.mesh.extensionProviders.find((candidate) => candidate.name === name);
  const settings = provider?.envoyExtAuthzHttp ?? provider?.envoyExtAuthzGrpc;
  if (!provider || !settings) return err(`no extension provider "${name}" authorizes`);
  const service = serviceOf(push, settings.service);
  if (!service.ok) return service;
  const target: Target = { hostname: service.value, cluster: outboundCluster(settings.port, service.value) };
  if (provider.envoyExtAuthzHttp) return httpAuthorizer(provider.envoyExtAuthzHttp, target);
  return ok(grpcAuthorizer(settings, target));
}

interface Target {
  readonly hostname: string;
  readonly cluster: string;
}

/** "namespace/host", or a host that is in one namespace only. */
function serviceOf(push: PushContext, written: string): Result<string, string> {
  const slash = written.indexOf('/');
  const hostname = written.slice(slash + 1);
  const found = (push.services.byHost.get(hostname) ?? []).filter(({ namespace }) => slash < 0 || namespace === written.slice(0, slash));
  const namespaces = [...new Set(found.map(({ namespace }) => namespace))];
  if (namespaces.length === 1) return ok(hostname);
  return err(namespaces.length === 0 ? `service "${written}" is not known` : `service "${written}" is in several namespaces: write namespace/host`);
}

function common(settings: ExtAuthzGrpcProvider): Partial<ExtAuthz> {
  const body = settings.includeRequestBodyInCheck;
  return {
    failureModeAllow: settings.failOpen,
    clearRouteCache: settings.clearRouteCache,
    transportApiVersion: ApiVersion.V3,
    ...(settings.statusOnError === '' ? {} : { statusOnError: create(HttpStatus, { code: Number(settings.statusOnError) as HttpStatus['code'] }) }),
    ...(body ? { withRequestBody: create(BufferSettings, { maxRequestBytes: body.maxRequestBytes, allowPartialMessage: body.allowPartialMessage, packAsBytes: body.packAsBytes }) } : {}),
  };
}

function httpAuthorizer(settings: ExtAuthzHttpProvider, { hostname, cluster }: Target): Result<Authorizer, string> {
  const lists = [settings.includeRequestHeadersInCheck, settings.includeHeadersInCheck, settings.headersToUpstreamOnAllow, settings.headersToDownstreamOnDeny, settings.headersToDownstreamOnAllow];
  if (lists.some((list) => list.includes('*'))) return err('"*" alone is not supported in lists of headers: write a prefix or a suffix');
  const added = Object.entries(settings.includeAdditionalHeadersInCheck).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => create(HeaderValue, { key, value }));
  const answered = settings.headersToUpstreamOnAllow.length + settings.headersToDownstreamOnDeny.length + settings.headersToDownstreamOnAllow.length > 0;
  const service = create(HttpService, {
    serverUri: create(HttpUri, { uri: `http://${hostname}`, httpUpstreamType: { $case: 'cluster', value: cluster }, timeout: duration(settings.timeout ?? defaultTimeoutMs) }),
    pathPrefix: settings.pathPrefix,
    ...(added.length > 0 ? { authorizationRequest: create(AuthorizationRequest, { headersToAdd: added }) } : {}),
    ...(answered
      ? {
          authorizationResponse: create(AuthorizationResponse, {
            allowedUpstreamHeaders: names(settings.headersToUpstreamOnAllow),
            allowedClientHeaders: names(settings.headersToDownstreamOnDeny),
            allowedClientHeadersOnSuccess: names(settings.headersToDownstreamOnAllow),
          }),
        }
      : {}),
  });
  const allowedHeaders = names(settings.includeRequestHeadersInCheck.length > 0 ? settings.includeRequestHeadersInCheck : settings.includeHeadersInCheck);
  return ok({ http: create(ExtAuthz, { ...common(settings), services: { $case: 'httpService', value: service }, allowedHeaders }) });
}

function grpcAuthorizer(settings: ExtAuthzGrpcProvider, { hostname, cluster }: Target): Authorizer {
  const grpcService = create(GrpcService, {
    targetSpecifier: { $case: 'envoyGrpc', value: create(GrpcService_EnvoyGrpc, { clusterName: cluster, authority: hostname }) },
    timeout: duration(settings.timeout ?? defaultTimeoutMs),
  });
  return {
    http: create(ExtAuthz, { ...common(settings), services: { $case: 'grpcService', value: grpcService } }),
    tcp: create(NetworkExtAuthz, { statPrefix: tcpStatPrefix, grpcService, failureModeAllow: settings.failOpen, transportApiVersion: ApiVersion.V3 }),
  };
}

/** undefined for none: then the filter's own default holds. */
function names(list: readonly string[]): ListStringMatcher | undefined {
  if (list.length === 0) return undefined;
  return { patterns: list.map((name) => create(StringMatcher, { matchPattern: pattern(name), ignoreCase: true })) };
}

function pattern(name: string): NonNullable<StringMatcher['matchPattern']> {
  if (name.startsWith('*')) return { $case: 'suffix', value: name.slice(1) };
  return name.endsWith('*') ? { $case: 'prefix', value: name.slice(0, -1) } : { $case: 'exact', value: name };
}
