import { once } from 'node:events';
import { status, type ServerWritableStream } from '@grpc/grpc-js';
import type { DistributionRequest, ProxyStatusRequest } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { FollowLook, FollowRequest, PeerServiceServer } from '@meltemi/api/gen/meltemi/config/v1/peers.ts';
import { unary } from '../api-call.ts';
import { followLocally, type FollowParts } from '../follow.ts';
import { localDistribution, localProxyStatus, type StatusApiParts } from '../status-api.ts';

/** What this pilot tells other pilots of its own proxies. The door lets nobody else in. */
export function peerService(parts: StatusApiParts & FollowParts): PeerServiceServer {
  return {
    proxyStatus: unary(async (request: ProxyStatusRequest) => localProxyStatus(parts, request)),
    distribution: unary((request: DistributionRequest) => localDistribution(parts, request)),
    follow: (call) => void follow(parts, call),
  };
}

/** Ends with the call: the pilot that asks decides when it has seen enough. */
async function follow(parts: FollowParts, call: ServerWritableStream<FollowRequest, FollowLook>): Promise<void> {
  const ended = new AbortController();
  for (const end of ['cancelled', 'close', 'error']) call.on(end, () => ended.abort());
  const { revision, objects, any, newcomers } = call.request;
  try {
    for await (const look of followLocally(parts, { storeVersion: revision, objects, any, newcomers: () => newcomers }, ended.signal)) {
      if (ended.signal.aborted) return;
      if (!call.write(look)) await once(call, 'drain', { signal: ended.signal });
    }
    call.end();
  } catch (cause) {
    if (!ended.signal.aborted) call.emit('error', { code: status.INTERNAL, details: cause instanceof Error ? cause.message : String(cause) });
  }
}
