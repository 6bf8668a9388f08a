import { Http1ClientConnection } from '../../codec/http1/client-connection.ts';
import { Http2ClientConnection } from '../../codec/http2/client-connection.ts';
import type { Http1Limits } from '../../codec/http1/limits.ts';
import type { Http2CodecOptions } from '../../codec/http2/options.ts';
import type { ByteConnection } from '../../connection.ts';
import type { RequestWriter, ResponseReceiver } from '../../stream.ts';

/** One connection to a host, of either version of HTTP, for one request at a time. */
export interface ExchangeClient {
  /** Takes another request. */
  readonly usable: boolean;
  begin(receiver: ResponseReceiver, method: string): RequestWriter;
  flush(): void;
  close(): void;
}

export function http1Client(connection: ByteConnection, onGone: () => void, limits: Http1Limits): ExchangeClient {
  const client = new Http1ClientConnection(connection, { onIdle: () => {}, onGone }, { limits });
  return {
    get usable() {
      return !client.busy && !connection.closed;
    },
    begin: (receiver, method) => {
      client.begin(receiver, method, false);
      return client;
    },
    flush: () => connection.flush(),
    close: () => client.retire(),
  };
}

export function http2Client(connection: ByteConnection, onGone: () => void, options: Http2CodecOptions): ExchangeClient {
  const client = new Http2ClientConnection(connection, { onCapacity: () => {}, onIdle: () => {}, onGoAway: () => {}, onGone }, options);
  return {
    get usable() {
      return client.capacity > 0;
    },
    begin: (receiver, method) => client.newStream(receiver, method),
    flush: () => connection.flush(),
    close: () => client.retire(),
  };
}
