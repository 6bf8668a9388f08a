import type { TlsInfo } from '@meltemi/http';

/** What a byte connection tells its one owner. */
export interface ConnectionSink {
  /** Bytes arrived: `buffer[0, length)`, valid only during the call. */
  onData(buffer: Buffer, length: number): void;
  /** The peer finished writing; our side may go on. */
  onEnd(): void;
  /** Writing is below the limit again after a write returned false. */
  onDrain(): void;
  /** Pending writes are about to be sent, after `requestFlush`: the last moment to add to them. */
  onFlush?(): void;
  /** The peer takes no more; what it sent before still comes, then the end. A sink without this has the connection destroyed instead. */
  onWriteFailed?(): void;
  /** Both directions are over. Once, last. `cause` is null when it ended in order. */
  onClose(cause: Error | null): void;
}

/** Somebody besides the owner who hears what goes by: the network filters in front of an HTTP connection manager. */
export interface ConnectionObserver {
  /** Before the sink sees them; it does not when the connection was destroyed here. */
  onRead(bytes: number): void;
  onWrite(bytes: number): void;
  /** After the sink's onClose. */
  onClose(): void;
}

/**
 * One open connection, plain or TLS. Writes of one turn (one read event) leave in one system call; each write says whether more may follow
 * (false: wait for onDrain). Nothing throws. The transport implements it over sockets, tests over arrays.
 */
export interface ByteConnection {
  readonly id: number;
  /** "ip:port" of the peer, "[ip6]:port", or a path. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** Null on plaintext. */
  readonly tls: TlsInfo | null;
  sink: ConnectionSink;
  observer: ConnectionObserver | null;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly closed: boolean;
  /** Bytes written that the system has not taken yet. */
  readonly pendingBytes: number;
  /** Appends latin1 text. */
  writeText(text: string): boolean;
  /** Appends a message's head: its first line, "name: value" of each pair of fields with CRLF, and what follows them. */
  writeHead(line: string, fields: readonly string[], rest: string): boolean;
  /** Appends `buffer[start, end)`; copied or sent before this returns. */
  write(buffer: Buffer, start: number, end: number): boolean;
  /** Has the sink's `onFlush` called once before the writes of this turn are sent. */
  requestFlush(): void;
  /** Sends what is pending now instead of at the end of the turn. */
  flush(): void;
  /** Half-closes after everything pending is sent. */
  end(): void;
  /** Stops reading; what was read already is still delivered. */
  pause(): void;
  resume(): void;
  /** Closes now, dropping what is pending. */
  destroy(cause?: Error): void;
}

/** A sink that ignores everything: for the time between owners. */
export const ignoreConnection: ConnectionSink = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };
