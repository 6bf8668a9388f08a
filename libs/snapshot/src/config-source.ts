import type { DataSource, HeaderValue } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { ApiConfigSource, ConfigSource as ConfigSourceMessage } from '@meltemi/api/gen/envoy/config/core/v3/config_source.ts';
import type { GrpcService, GrpcService_GoogleGrpc } from '@meltemi/api/gen/envoy/config/core/v3/grpc_service.ts';
import { checkFields, durationMs, type Report } from '@meltemi/route';
import { apiSourceFields, configSourceFields, envoyGrpcFields, googleGrpcFields, grpcServiceFields } from './config-source-tables.ts';
import type { ApiSource, ConfigSource, GrpcTarget, SourceSpec } from './config-source-types.ts';
import type { Source } from './tls-types.ts';

/** Envoy's default: how long an initialization waits for the first answer. */
const fetchTimeoutMs = 15_000;
const versionAuto = 0;
const versionV3 = 2;
const apiTypes = { rest: 1, grpc: 2, deltaGrpc: 3, aggregatedGrpc: 5, aggregatedDeltaGrpc: 6 } as const;

/** Compiles where a resource comes from; null when that cannot be followed. */
export function compileConfigSource(message: ConfigSourceMessage | undefined, path: string, report: Report): ConfigSource | null {
  if (!message) {
    report.refuse(path, 'is required: ads, path_config_source or api_config_source');
    return null;
  }
  checkFields(message, configSourceFields, path, report);
  checkVersion(message.resourceApiVersion, `${path}.resource_api_version`, report);
  const spec = specOf(message, path, report);
  return spec && { spec, key: keyOf(spec), initialFetchTimeoutMs: durationMs(message.initialFetchTimeout, fetchTimeoutMs) };
}

/** Compiles an api_config_source (or ads_config, whose aggregated kinds are the same as the plain ones). */
export function compileApiSource(message: ApiConfigSource, path: string, report: Report): ApiSource | null {
  checkFields(message, apiSourceFields, path, report);
  checkVersion(message.transportApiVersion, `${path}.transport_api_version`, report);
  const type = message.apiType;
  const delta = type === apiTypes.deltaGrpc || type === apiTypes.aggregatedDeltaGrpc;
  if (!delta && type !== apiTypes.grpc && type !== apiTypes.aggregatedGrpc) report.refuse(`${path}.api_type`, `${type === apiTypes.rest ? 'REST is' : 'this type is'} not supported: use GRPC or DELTA_GRPC`);
  if (message.clusterNames.length > 0) report.refuse(`${path}.cluster_names`, 'is for REST: name the cluster in grpc_services');
  const services = message.grpcServices.flatMap((service, i) => compileService(service, `${path}.grpc_services[${i}]`, report) ?? []);
  if (message.grpcServices.length === 0) report.refuse(`${path}.grpc_services`, 'needs the server: envoy_grpc with a cluster_name, or google_grpc with a target_uri');
  return services.length === 0 ? null : { delta, services, nodeOnFirstMessageOnly: message.setNodeOnFirstMessageOnly };
}

/** AUTO, which is what holds when nothing is said, is V3 now. */
function checkVersion(version: number, path: string, report: Report): void {
  if (version !== versionAuto && version !== versionV3) report.refuse(path, 'must be V3: there is no other version of the API any more');
}

function specOf(message: ConfigSourceMessage, path: string, report: Report): SourceSpec | null {
  const specifier = message.configSourceSpecifier;
  switch (specifier?.$case) {
    case 'ads':
      return { kind: 'ads' };
    case 'self':
      return { kind: 'self' };
    case 'path':
      return pathSpec(specifier.value, null, `${path}.path`, report);
    case 'pathConfigSource':
      return pathSpec(specifier.value.path, specifier.value.watchedDirectory?.path ?? null, `${path}.path_config_source.path`, report);
    case 'apiConfigSource': {
      const api = compileApiSource(specifier.value, `${path}.api_config_source`, report);
      return api && { kind: 'api', api };
    }
    case undefined:
      report.refuse(path, 'needs one of ads, path_config_source or api_config_source');
      return null;
  }
}

function pathSpec(path: string, watchedDirectory: string | null, at: string, report: Report): SourceSpec | null {
  if (path === '') report.refuse(at, 'is required');
  else if (path.endsWith('.pb_text')) report.refuse(at, 'text protobuf is not read: use .yaml, .json or .pb');
  else return { kind: 'path', path, watchedDirectory };
  return null;
}

function keyOf(spec: SourceSpec): string {
  if (spec.kind === 'path') return `path ${spec.path} ${spec.watchedDirectory ?? ''}`;
  return spec.kind === 'api' ? `api ${JSON.stringify(spec.api)}` : spec.kind;
}

/** Compiles a gRPC server's whereabouts. */
function compileService(service: GrpcService, path: string, report: Report): GrpcTarget | null {
  checkFields(service, grpcServiceFields, path, report);
  const metadata = service.initialMetadata.map((header) => metadataOf(header));
  const target = service.targetSpecifier;
  if (target?.$case === 'envoyGrpc') {
    checkFields(target.value, envoyGrpcFields, `${path}.envoy_grpc`, report);
    if (target.value.clusterName === '') report.refuse(`${path}.envoy_grpc.cluster_name`, 'is required');
    return { kind: 'cluster', cluster: target.value.clusterName, authority: target.value.authority, maxReceiveBytes: target.value.maxReceiveMessageLength ?? null, metadata };
  }
  if (target?.$case === 'googleGrpc') return { ...compileGoogle(target.value, `${path}.google_grpc`, report), metadata };
  report.refuse(path, 'needs envoy_grpc or google_grpc');
  return null;
}

function compileGoogle(google: GrpcService_GoogleGrpc, path: string, report: Report): Omit<Extract<GrpcTarget, { kind: 'google' }>, 'metadata'> {
  checkFields(google, googleGrpcFields, path, report);
  const address = google.targetUri.replace(/^(?:dns|ipv4|ipv6):(?:\/\/[^/]*\/)?/, '');
  if (!/^(?:\[[0-9a-fA-F:.]+\]|[^:/\s]+):\d+$/.test(address) && !google.targetUri.startsWith('unix:')) report.refuse(`${path}.target_uri`, `"${google.targetUri}" must be host:port or unix:/path`);
  const credentials = google.channelCredentials?.credentialSpecifier;
  if (credentials && credentials.$case !== 'sslCredentials') report.refuse(`${path}.channel_credentials`, `${credentials.$case === 'googleDefault' ? 'google_default' : 'local_credentials'} is not supported: use ssl_credentials`);
  const ssl = credentials?.$case === 'sslCredentials' ? credentials.value : null;
  return {
    kind: 'google', target: google.targetUri.startsWith('unix:') ? google.targetUri : address,
    tls: ssl && { rootCerts: sourceOf(ssl.rootCerts), certChain: sourceOf(ssl.certChain), privateKey: sourceOf(ssl.privateKey) },
  };
}

function metadataOf(header: HeaderValue): readonly [string, string] {
  return [header.key.toLowerCase(), header.rawValue.length > 0 ? header.rawValue.toString('latin1') : header.value];
}

/** A data source that the edge reads; null when there is none. */
export function sourceOf(source: DataSource | undefined): Source | null {
  const specifier = source?.specifier;
  switch (specifier?.$case) {
    case 'inlineBytes':
      return { kind: 'inline', bytes: specifier.value };
    case 'inlineString':
      return { kind: 'inline', bytes: Buffer.from(specifier.value) };
    case 'filename':
      return { kind: 'file', path: specifier.value };
    case 'environmentVariable':
      return { kind: 'environment', name: specifier.value };
    case undefined:
      return null;
  }
}
