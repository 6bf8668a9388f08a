import { ResponseHead } from '@meltemi/http';
import type { ByteConnection, ConnectionSink } from '../../../connection.ts';
import type { Host } from '../../../balance/index.ts';
import type { RequestWriter } from '../../../stream.ts';
import type { PendingStream, StreamCallbacks, UpstreamCluster } from '../../../upstream.ts';

/** Terminates a CONNECT (connect_config): what the client sends goes to the host as plain bytes, over a connection of its own. */
export function openTcpTunnel(cluster: UpstreamCluster, host: Host, callbacks: StreamCallbacks): PendingStream {
  return cluster.newConnection(host, {
    onReady: (connection) => {
      const tunnel = new TcpTunnel(connection, callbacks);
      callbacks.onReady(tunnel, { id: connection.id, localAddress: connection.localAddress, remoteAddress: connection.remoteAddress, tls: connection.tls, protocol: null });
      tunnel.begin();
    },
    onPoolFailure: (failure) => callbacks.onPoolFailure(failure),
  });
}

/** A byte connection that looks like a stream: the head is answered 200, then bytes both ways. @hot */
class TcpTunnel implements RequestWriter, ConnectionSink {
  readonly #connection: ByteConnection;
  #receiver: StreamCallbacks | null;
  #ended = false;

  constructor(connection: ByteConnection, receiver: StreamCallbacks) {
    this.#connection = connection;
    this.#receiver = receiver;
    connection.sink = this;
  }

  /** Answers, once what waited for the connection is on its way. */
  begin(): void {
    this.#receiver?.onHead(new ResponseHead(200), false);
    if (this.#receiver !== null) this.#connection.resume();
  }

  // RequestWriter

  head(): void {
    // No head goes to a host that speaks anything.
  }

  data(buffer: Buffer, start: number, end: number): boolean {
    return this.#connection.write(buffer, start, end);
  }

  end(): void {
    this.#ended = true;
    this.#connection.end();
  }

  reset(): void {
    this.#receiver = null;
    this.#connection.destroy();
  }

  pauseResponse(): void {
    this.#connection.pause();
  }

  resumeResponse(): void {
    this.#connection.resume();
  }

  // ConnectionSink

  onData(buffer: Buffer, length: number): void {
    this.#receiver?.onData(buffer, 0, length);
  }

  onEnd(): void {
    const receiver = this.#receiver;
    this.#receiver = null;
    if (!this.#ended) this.#connection.end();
    receiver?.onEnd(null);
  }

  onDrain(): void {
    this.#receiver?.onWritable();
  }

  onClose(): void {
    const receiver = this.#receiver;
    this.#receiver = null;
    receiver?.onReset({ kind: 'termination', detail: '', stale: false, refused: false });
  }
}
