import { Metadata, type ChannelCredentials, type ClientOptions, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import type { DistributionRequest, DistributionResponse, ProxyStatusRequest, ProxyStatusResponse } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { PeerServiceClient, type FollowLook, type FollowRequest } from '@meltemi/api/gen/meltemi/config/v1/peers.ts';

/** How one pilot asks another. */
export interface PeerApi {
  /** Rejects with a reason for people. */
  proxyStatus(request: ProxyStatusRequest): Promise<ProxyStatusResponse>;
  distribution(request: DistributionRequest): Promise<DistributionResponse>;
  /** Looks until `stop`, or until `onEnd`. */
  follow(request: FollowRequest, handlers: FollowHandlers): { stop(): void };
  close(): void;
}

export interface FollowHandlers {
  readonly onLook: (look: FollowLook) => void;
  /** There are no more looks. Undefined: it has said all it has to say. */
  readonly onEnd: (failure: string | undefined) => void;
}

/** A pilot that says nothing for this long is named instead of waited for. */
const askMs = 3000;
/** 1,000 objects with 100 proxies named in each list. */
const maxMessageBytes = 64 * 1024 * 1024;

/** Asks the pilot at an address over gRPC. */
export function dialPeer(address: string, credentials: ChannelCredentials, options: ClientOptions = {}): PeerApi {
  const client = new PeerServiceClient(address, credentials, { ...options, 'grpc.max_receive_message_length': maxMessageBytes, 'grpc.initial_reconnect_backoff_ms': 200, 'grpc.max_reconnect_backoff_ms': 2000, 'grpc.enable_retries': 0 });
  let closed = false;
  const deadline = () => ({ deadline: Date.now() + askMs });
  return {
    proxyStatus: (request) => new Promise((resolve, reject) => client.proxyStatus(request, new Metadata(), deadline(), (error, answer) => (error ? reject(new Error(reasonOf(error))) : resolve(answer)))),
    distribution: (request) => new Promise((resolve, reject) => client.distribution(request, new Metadata(), deadline(), (error, answer) => (error ? reject(new Error(reasonOf(error))) : resolve(answer)))),
    follow(request, { onLook, onEnd }) {
      if (closed) return { stop: () => undefined };
      const stream: ClientReadableStream<FollowLook> = client.follow(request);
      let over = false;
      const end = (failure: string | undefined): void => {
        if (!over) onEnd(failure);
        over = true;
      };
      stream.on('data', onLook);
      stream.on('error', (error: ServiceError) => end(reasonOf(error)));
      stream.on('end', () => end(undefined));
      return { stop: () => stream.cancel() };
    },
    close: () => {
      closed = true;
      client.close();
    },
  };
}

function reasonOf({ details, message }: ServiceError): string {
  return details === '' ? message : details;
}
