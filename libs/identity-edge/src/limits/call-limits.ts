import { Metadata, ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import { RateByKey, systemClock, type Clock, type Rate } from '@meltemi/base';
import { clientOf } from './client-of.ts';

export interface CallLimitsOptions {
  /** Calls and streams that one client (an identity, or an address without one) may have open. */
  readonly maxOpenPerClient: number;
  /** How often one client may begin one. */
  readonly ratePerClient: Rate;
  /** Told of each refusal. */
  readonly onRefused?: ((reason: 'open' | 'rate', client: string) => void) | undefined;
  readonly clock?: Clock;
}

/**
 * Refuses calls of a client that has too many open or begins too many, before anything is read of them: RESOURCE_EXHAUSTED, with gRPC's
 * `grpc-retry-pushback-ms` where waiting helps. Others are not held up. For `new Server({ interceptors: [callLimits(…)] })`.
 */
export function callLimits({ maxOpenPerClient, ratePerClient, onRefused, clock = systemClock }: CallLimitsOptions): ServerInterceptor {
  const open = new Map<string, number>();
  const rates = new RateByKey(ratePerClient);
  const admit = (client: string): { readonly details: string; readonly waitMs?: number } | undefined => {
    const now = open.get(client) ?? 0;
    if (now >= maxOpenPerClient) {
      onRefused?.('open', client);
      return { details: `${client} has ${now} calls open here already, which is the limit for one client` };
    }
    const waitMs = rates.take(client, clock.monotonic());
    if (waitMs > 0) {
      onRefused?.('rate', client);
      return { details: `${client} calls more than ${ratePerClient.perSecond} times a second: try again in ${waitMs} ms`, waitMs };
    }
    open.set(client, now + 1);
    return undefined;
  };
  const release = (client: string): void => {
    const left = (open.get(client) ?? 1) - 1;
    if (left > 0) open.set(client, left);
    else open.delete(client);
  };
  return (_method, call) => {
    let admitted: string | undefined;
    const end = (): void => {
      if (admitted !== undefined) release(admitted);
      admitted = undefined;
    };
    return new ServerInterceptingCall(call, {
      start: (next) => next({
        onReceiveMetadata: (metadata, proceed) => {
          const client = clientOf(call);
          const refusal = admit(client);
          if (!refusal) {
            admitted = client;
            proceed(metadata);
            return;
          }
          const trailers = new Metadata();
          if (refusal.waitMs !== undefined) trailers.set('grpc-retry-pushback-ms', String(refusal.waitMs));
          call.sendStatus({ code: status.RESOURCE_EXHAUSTED, details: refusal.details, metadata: trailers });
        },
        onCancel: end,
      }),
      sendStatus: (sent, next) => {
        end();
        next(sent);
      },
    });
  };
}
