/** The parts of a stream's handle that node:net and node:tls themselves go by. */
export interface StreamHandle {
  reading: boolean;
  onread: (this: StreamHandle, fact: unknown) => void;
  /** Ours: who reads it directly. */
  reader?: { onRead(handle: StreamHandle, length: number, fact: unknown): void };
  /** 0, or a negative error number. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
}

/** What a write that does not end at once is known by. */
export interface WriteRequest {
  handle: StreamHandle | null;
  oncomplete: ((this: WriteRequest, status: number) => void) | null;
  /** Ours: who waits. */
  owner: { completed(status: number): void } | null;
}

/** What the last call on any handle of the thread said. */
export interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: { readonly [index: number]: number };
  readonly kLastWriteWasAsync: number;
  readonly kReadBytesOrError: number;
}

/** Null where this Node has no such door: then node's streams do the work. */
export const streamBinding = findBinding();

function findBinding(): StreamBinding | null {
  try {
    const found = (process as unknown as { binding(name: string): Partial<StreamBinding> }).binding('stream_wrap');
    const whole = typeof found.WriteWrap === 'function' && found.streamBaseState !== undefined && typeof found.kLastWriteWasAsync === 'number' && typeof found.kReadBytesOrError === 'number';
    return whole ? (found as StreamBinding) : null;
  } catch {
    return null;
  }
}

/** The handle of a net.Socket or tls.TLSSocket; null when it has none that can be read and written directly. */
export function streamHandle(socket: object): StreamHandle | null {
  const handle = (socket as { _handle?: Partial<StreamHandle> | null })._handle;
  return typeof handle?.writeBuffer === 'function' && typeof handle.useUserBuffer === 'function' && typeof handle.readStop === 'function' ? (handle as StreamHandle) : null;
}
