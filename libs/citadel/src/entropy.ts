/** Unpredictable bytes as a port: serials and token secrets. */
export interface Entropy {
  bytes(count: number): Buffer;
}
