import { list, map, object } from '../../schema/containers.ts';
import { int, string } from '../../schema/scalars.ts';
import { optional } from '../../schema/schema.ts';
import type { MeshNetworksSpec, Network, NetworkEndpoints, NetworkGateway } from './types.ts';

const endpoints = object<NetworkEndpoints>({ fromCidr: optional(string()), fromRegistry: optional(string()) }, { oneofs: [{ keys: ['fromCidr', 'fromRegistry'] }] });

const gateway = object<NetworkGateway>(
  { registryServiceName: optional(string()), address: optional(string()), port: int('uint32'), locality: string() },
  { oneofs: [{ keys: ['registryServiceName', 'address'] }] },
);

export const schema = object<MeshNetworksSpec>({ networks: map(object<Network>({ endpoints: list(endpoints), gateways: list(gateway) })) });
