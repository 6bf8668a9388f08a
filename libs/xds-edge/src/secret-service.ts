import { Metadata, status as grpcStatus, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import type { SecretDiscoveryServiceServer } from '@meltemi/api/gen/envoy/service/secret/v3/sds.ts';
import { systemClock, type Clock } from '@meltemi/base';
import { deltaSequencer, sotwSequencer, xdsSnapshot, xdsType, type ResourceSet } from '@meltemi/xds';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { AdsStream, type StreamPort } from './ads-stream.ts';
import type { AdsConnection, AdsLog, ClientHello } from './server-types.ts';
import { deltaResponseChunks, sotwResponseChunks } from './wire/response-chunks.ts';

export interface SecretServiceOptions {
  /** Streams over all connections; further ones get RESOURCE_EXHAUSTED. */
  readonly maxStreams: number;
  /** Names one stream may ask for. */
  readonly maxNames: number;
  readonly maxResponseBytes: number;
  readonly log: AdsLog;
  readonly clock?: Clock;
}

/** Envoy's SDS: the same secrets for every client of one door. */
export interface SecretService {
  /** For `server.addService(SecretDiscoveryServiceService, …)`. */
  readonly handlers: SecretDiscoveryServiceServer;
  /** What there is from now on; streams get what differs for them. Until the first, streams wait and Fetch is UNAVAILABLE. */
  serve(secrets: ResourceSet): void;
  /** Open streams. */
  streams(): number;
  stop(): void;
}

const delta = { sequencer: deltaSequencer, encode: deltaResponseChunks };
const sotw = { sequencer: sotwSequencer, encode: sotwResponseChunks };
const stalledDeadlineMs = 60_000;
const firstRequestDeadlineMs = 10_000;
const stepDeadlineMs = 5_000;
/** Of one stream: a few names and their answers. */
const requestRate = { perSecond: 20, burst: 100 };

/** envoy.service.secret.v3.SecretDiscoveryService over one set of secrets: Stream, Delta and Fetch. */
export function secretService(options: SecretServiceOptions): SecretService {
  const streams = new Set<AdsConnection>();
  let current: ResourceSet | undefined;
  let count = 0;
  const pushTo = (stream: AdsConnection, set: ResourceSet): void => stream.push({ ...xdsSnapshot(set.version, [set]), reason: 'secrets' });
  const port: StreamPort = {
    clock: options.clock ?? systemClock, log: options.log, stepDeadlineMs, firstRequestDeadlineMs, stalledDeadlineMs, maxStreamAgeMs: 0,
    maxNames: options.maxNames, requestRate, maxResponseBytes: options.maxResponseBytes, identifier: '', onlyType: xdsType.secret,
    onConnect(_hello, stream) {
      if (current) pushTo(stream, current);
      return { ordered: false };
    },
    onClosed: (stream) => streams.delete(stream),
  };
  const accept = <Req, Res>(call: ServerDuplexStream<Req, Res>, protocol: ClientHello['protocol'], open: (hello: ClientHello) => AdsConnection): void => {
    if (streams.size >= options.maxStreams) return void call.emit('error', { code: grpcStatus.RESOURCE_EXHAUSTED, details: `${options.maxStreams} streams are served already` });
    call.sendMetadata(new Metadata());
    streams.add(open({ node: unknownNode, peer: { listener: 'sds', address: call.getPeer(), identity: undefined }, protocol, connectionId: `s${++count}` }));
  };
  return {
    handlers: {
      streamSecrets: (call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>) => accept(call, 'sotw', (hello) => new AdsStream(call, hello, port, sotw)),
      deltaSecrets: (call: ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>) => accept(call, 'delta', (hello) => new AdsStream(call, hello, port, delta)),
      fetchSecrets: (call, done) => fetchSecrets(current, call, done),
    },
    serve(secrets) {
      current = secrets;
      for (const stream of streams) pushTo(stream, secrets);
    },
    streams: () => streams.size,
    stop: () => { for (const stream of streams) stream.close('the server is stopping'); },
  };
}

const unknownNode = { id: '', cluster: '', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [] };

function fetchSecrets(set: ResourceSet | undefined, { request }: ServerUnaryCall<DiscoveryRequest, DiscoveryResponse>, done: sendUnaryData<DiscoveryResponse>): void {
  if (!set) return done({ code: grpcStatus.UNAVAILABLE, details: 'there are no secrets yet' });
  if (request.typeUrl !== '' && request.typeUrl !== xdsType.secret) return done({ code: grpcStatus.INVALID_ARGUMENT, details: `this service has resources of type ${xdsType.secret} alone` });
  const wanted = request.resourceNames.length === 0 ? [...set.resources.keys()] : request.resourceNames;
  const resources = [...new Set(wanted)].flatMap((name) => set.resources.get(name)?.any ?? []);
  done(null, { versionInfo: set.version, resources, canary: false, typeUrl: xdsType.secret, nonce: '', controlPlane: undefined });
}
