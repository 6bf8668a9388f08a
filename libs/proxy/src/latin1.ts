interface Latin1Buffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, at: number): number;
}

/** One character per byte. The method Node has had for ever and its types have not; toString('latin1') checks its arguments first. @hot */
export function latin1(buffer: Buffer, start: number, end: number): string {
  return (buffer as Latin1Buffer).latin1Slice(start, end);
}

/** Writes one byte per character from `at` on, as far as there is room; returns how many. @hot */
export function latin1Write(buffer: Buffer, text: string, at: number): number {
  return (buffer as Latin1Buffer).latin1Write(text, at);
}
