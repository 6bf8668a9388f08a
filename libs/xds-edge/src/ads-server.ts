import { unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { Metadata, Server, status as grpcStatus, type ServerOptions } from '@grpc/grpc-js';
import { AggregatedDiscoveryServiceService, type AggregatedDiscoveryServiceServer } from '@meltemi/api/gen/envoy/service/discovery/v3/ads.ts';
import { systemClock, withDeadline } from '@meltemi/base';
import { callLimits, defaultConnectionLimits, limitConnections } from '@meltemi/identity-edge';
import { deltaSequencer, sotwSequencer } from '@meltemi/xds';
import { AdsStream, type StreamPort } from './ads-stream.ts';
import { certifiedPeer } from './peer-identity.ts';
import type { AdsConnection, AdsLimits, AdsListener, AdsLog, AdsServer, AdsServerOptions, ClientHello, Peer } from './server-types.ts';
import { deltaResponseChunks, sotwResponseChunks } from './wire/response-chunks.ts';

export const defaultAdsLimits: AdsLimits = {
  maxRequestBytes: 4 << 20, maxResponseBytes: 64 << 20, maxNames: 100_000, maxStreams: 10_000, maxStreamsPerClient: 2500,
  streamRatePerClient: { perSecond: 200, burst: 2000 }, requestRate: { perSecond: 200, burst: 2000 }, connections: defaultConnectionLimits,
};

const silent: AdsLog = { info() {}, warn() {} };

/** Opens every listener; rejects, with none left open, when one address cannot be bound. */
export async function startAdsServer(options: AdsServerOptions): Promise<AdsServer> {
  const limits = { ...defaultAdsLimits, ...options.limits };
  const streams = new Set<AdsConnection>();
  const port = streamPort(options, limits, streams);
  const servers: Server[] = [];
  const addresses = new Map<string, string>();
  const stop = (deadlineMs = 5000) => stopAll(streams, servers, deadlineMs);
  for (const listener of options.listeners) {
    const server = new Server(channelOptions(options, limits));
    server.addService(AggregatedDiscoveryServiceService, serviceOf(listener, { port, streams, maxStreams: limits.maxStreams }));
    servers.push(server);
    try {
      await removeStaleSocket(listener.address);
      addresses.set(listener.name, await bind(server, listener));
      limitConnections(server, { ...limits.connections, onRefused: options.onLimited });
    } catch (cause) {
      await stop(0);
      throw cause;
    }
  }
  return { addresses, connections: () => [...streams], stop };
}

function streamPort(options: AdsServerOptions, limits: AdsLimits, streams: Set<AdsConnection>): StreamPort {
  return {
    clock: options.clock ?? systemClock,
    log: options.log ?? silent,
    stepDeadlineMs: options.stepDeadlineMs ?? 5000,
    firstRequestDeadlineMs: options.firstRequestDeadlineMs ?? 10_000,
    stalledDeadlineMs: options.stalledDeadlineMs ?? 60_000,
    maxStreamAgeMs: options.maxStreamAgeMs ?? 0,
    maxNames: limits.maxNames,
    requestRate: limits.requestRate,
    maxResponseBytes: limits.maxResponseBytes,
    identifier: options.identifier ?? '',
    onConnect: (hello, connection) => options.onConnect(hello, connection),
    onClosed: (stream) => streams.delete(stream),
  };
}

let connections = 0;

function serviceOf(listener: AdsListener, server: { port: StreamPort; streams: Set<AdsConnection>; maxStreams: number }): AggregatedDiscoveryServiceServer {
  const accept = (call: AcceptedCall, protocol: ClientHello['protocol'], open: (hello: ClientHello) => AdsConnection): void => {
    if (server.streams.size >= server.maxStreams) {
      call.emit('error', { code: grpcStatus.RESOURCE_EXHAUSTED, details: `this server serves ${server.maxStreams} streams already` });
      return;
    }
    // Headers at once: they tell the client that it is connected, long before there is anything to send.
    call.sendMetadata(new Metadata());
    server.streams.add(open({ node: unknownNode, peer: peerOf(call, listener), protocol, connectionId: `${process.pid.toString(36)}.${++connections}` }));
  };
  return {
    deltaAggregatedResources: (call) => accept(call, 'delta', (hello) => new AdsStream(call, hello, server.port, delta)),
    streamAggregatedResources: (call) => accept(call, 'sotw', (hello) => new AdsStream(call, hello, server.port, sotw)),
  };
}

const delta = { sequencer: deltaSequencer, encode: deltaResponseChunks };
const sotw = { sequencer: sotwSequencer, encode: sotwResponseChunks };

const unknownNode = { id: '', cluster: '', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [] };

/** What both kinds of call have. */
interface AcceptedCall {
  emit(event: 'error', status: { readonly code: number; readonly details: string }): boolean;
  sendMetadata(metadata: Metadata): void;
  getPeer(): string;
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Buffer } };
}

function peerOf(call: AcceptedCall, listener: AdsListener): Peer {
  const der = call.getAuthContext().sslPeerCertificate?.raw;
  return { listener: listener.name, address: call.getPeer(), ...(der ? certifiedPeer(der) : { identity: undefined }) };
}

/** Of one connection: clients have one stream, or one for each type. */
const maxStreamsPerConnection = 100;
/** A connection without a stream is given up. */
const maxIdleMs = 300_000;

function channelOptions(options: AdsServerOptions, limits: AdsLimits): ServerOptions {
  return {
    interceptors: [callLimits({ maxOpenPerClient: limits.maxStreamsPerClient, ratePerClient: limits.streamRatePerClient, onRefused: options.onLimited })],
    'grpc.max_concurrent_streams': maxStreamsPerConnection,
    'grpc.max_connection_idle_ms': maxIdleMs,
    'grpc.max_receive_message_length': limits.maxRequestBytes,
    'grpc.max_send_message_length': limits.maxResponseBytes,
    'grpc.keepalive_time_ms': options.keepaliveMs ?? 30_000,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs ?? 10_000,
  };
}

function bind(server: Server, listener: AdsListener): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listener.address, listener.credentials, (error, port) => {
      if (error) reject(new Error(`cannot listen on ${listener.address} (${listener.name}): ${error.message}`, { cause: error }));
      else resolve(listener.address.startsWith('unix:') ? listener.address : `${listener.address.slice(0, listener.address.lastIndexOf(':'))}:${port}`);
    });
  });
}

/** A server that was killed leaves its socket file behind, which would keep the next one from starting. One that still answers is left alone. */
async function removeStaleSocket(address: string): Promise<void> {
  const path = /^unix:(?:\/\/)?(.+)$/.exec(address)?.[1];
  if (path === undefined) return;
  const socket = connect(path);
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    socket.once('connect', () => resolve(undefined));
    socket.once('error', resolve);
  });
  socket.destroy();
  if (error?.code === 'ECONNREFUSED') await unlink(path);
}

async function stopAll(streams: ReadonlySet<AdsConnection>, servers: readonly Server[], deadlineMs: number): Promise<void> {
  for (const stream of streams) stream.close('the server is stopping');
  await Promise.all(
    servers.map(async (server) => {
      const drained = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      await withDeadline(drained, deadlineMs, 'draining').catch(() => undefined);
      server.forceShutdown();
    }),
  );
}
