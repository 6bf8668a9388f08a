import { ignoreConnection, type ByteConnection, type ConnectionObserver, type ConnectionSink } from '../connection.ts';

/** A byte connection over text: what was sent is `sent`, what arrives comes by `receive`. */
export class Wire implements ByteConnection {
  id = 1;
  remoteAddress = '10.0.0.5:41000';
  localAddress = '10.0.0.9:9080';
  tls = null;
  sink: ConnectionSink = ignoreConnection;
  observer: ConnectionObserver | null = null;
  bytesRead = 0;
  bytesWritten = 0;
  closed = false;
  pendingBytes = 0;
  /** A turn lasts until `flush`, instead of one write. */
  turns = false;
  sent = '';
  /** Our side was closed in order. */
  ended = false;
  paused = false;

  writeText(text: string): boolean {
    this.sent += text;
    this.observer?.onWrite(text.length);
    this.bytesWritten += text.length;
    return true;
  }

  writeHead(line: string, fields: readonly string[], rest: string): boolean {
    let text = line;
    for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
    return this.writeText(text + rest);
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    return this.writeText(buffer.toString('latin1', start, end));
  }

  requestFlush(): void {
    if (!this.turns) this.sink.onFlush?.();
  }

  flush(): void {
    this.sink.onFlush?.();
  }

  end(): void {
    this.ended = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.sink.onClose(null);
    this.observer?.onClose();
  }

  receive(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.bytesRead += bytes.length;
    this.observer?.onRead(bytes.length);
    if (!this.closed) this.sink.onData(bytes, bytes.length);
  }
}

/** What a writing function sends, as text. */
export function written(send: (to: Wire) => void): string {
  const wire = new Wire();
  send(wire);
  return wire.sent;
}
