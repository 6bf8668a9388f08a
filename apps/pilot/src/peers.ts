import { createHash } from 'node:crypto';
import { hostname, networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { Server } from '@grpc/grpc-js';
import { PeerServiceService, type PeerServiceServer } from '@meltemi/api/gen/meltemi/config/v1/peers.ts';
import { controlPlaneId, formatSpiffeId } from '@meltemi/identity';
import { callLimits, channelCredentials, defaultConnectionLimits, meshChannelOptions, type IdentityAgent } from '@meltemi/identity-edge';
import { formatAddress, type Address } from '@meltemi/observe-edge';
import { dialPeer, type PeerApi } from '@meltemi/pilot-edge';
import { bindSecure } from './config-servers.ts';
import type { PilotOptions } from './options.ts';

/** All pilots have one identity: what a few dozen of them ask while many people wait. */
const [maxOpen, rate] = [2000, { perSecond: 1000, burst: 4000 }];

/** Stays the same when this pilot starts again, so that nobody waits for the one that it was. */
export function pilotId(values: Pick<PilotOptions, 'state-dir' | 'listen'>): string {
  return createHash('sha256').update(JSON.stringify([hostname(), resolve(values['state-dir']), formatAddress(values.listen)])).digest('hex').slice(0, 24);
}

/** Dials other pilots, and believes only who has a pilot's certificate. */
export function peerDialer(agent: IdentityAgent | undefined): (address: string) => PeerApi | string {
  return (address) => (agent ? dialPeer(address, channelCredentials(agent, 'pilot'), meshChannelOptions) : 'this pilot has no certificate to ask it with (--citadel-address)');
}

export interface PeerDoorOptions {
  readonly agent: IdentityAgent;
  readonly trustDomain: string;
  readonly address: Address;
  readonly onLimited: (reason: string, client: string) => void;
}

/** Where other pilots ask this one: over mTLS, and nobody but pilots. */
export async function openPeerDoor(service: PeerServiceServer, { agent, trustDomain, address, onLimited }: PeerDoorOptions): Promise<{ readonly server: Server; readonly port: number }> {
  const server = new Server({ 'grpc.max_receive_message_length': 4 * 1024 * 1024, 'grpc.max_send_message_length': 64 * 1024 * 1024, interceptors: [callLimits({ maxOpenPerClient: maxOpen, ratePerClient: rate, onRefused: onLimited })] });
  server.addService(PeerServiceService, service);
  const pilot = formatSpiffeId(controlPlaneId(trustDomain, 'pilot'));
  const port = await bindSecure(server, { address, agent, onLimited, allow: (caller) => formatSpiffeId(caller) === pilot, limits: defaultConnectionLimits });
  return { server, port };
}

/** Where the door is bound: by --peer-listen, or any port of the host that proxies come to. */
export function peerListen(values: Pick<PilotOptions, 'peer-listen' | 'listen'>): Address {
  return values['peer-listen'] ?? { host: values.listen.host, port: 0 };
}

/** The address that other pilots are told. A wildcard is none: then it is the first of this machine that is not for itself alone. */
export function advertised(values: Pick<PilotOptions, 'peer-address'>, { host, port }: Address): string {
  const given = values['peer-address'];
  if (given) return formatAddress({ host: given.host, port: given.port || port });
  if (host !== '0.0.0.0' && host !== '::') return formatAddress({ host, port });
  const outside = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []).filter(({ internal, address, family }) => !internal && !address.startsWith('fe80') && (host === '::' || family === 'IPv4'));
  return formatAddress({ host: (outside.find(({ family }) => family === 'IPv4') ?? outside[0])?.address ?? '127.0.0.1', port });
}
