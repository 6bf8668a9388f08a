import { ignoreConnection, type ByteConnection, type ConnectionObserver, type ConnectionSink } from '@meltemi/proxy';
import type { ConnectionInfo, TlsInfo } from '@meltemi/http';

/** A client's connection in memory: bytes go in by `receive`, what is answered is thrown away. */
export class MemoryConnection implements ByteConnection {
  readonly id = 1;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly tls: TlsInfo | null;
  sink: ConnectionSink = ignoreConnection;
  observer: ConnectionObserver | null = null;
  readonly bytesRead = 0;
  readonly bytesWritten = 0;
  readonly pendingBytes = 0;
  closed = false;

  constructor(info: ConnectionInfo) {
    this.remoteAddress = info.directRemoteAddress;
    this.localAddress = info.localAddress;
    this.tls = info.tls;
  }

  receive(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    if (!this.closed) this.sink.onData(bytes, bytes.length);
  }

  writeText(): boolean {
    return true;
  }

  writeHead(): boolean {
    return true;
  }

  write(): boolean {
    return true;
  }

  requestFlush(): void {
    this.sink.onFlush?.();
  }

  flush(): void {
    this.sink.onFlush?.();
  }

  end(): void {}

  pause(): void {}

  resume(): void {}

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.sink.onClose(null);
  }
}
