import { WireType } from '@bufbuild/protobuf/wire';

/** Tag and length that stand before a field of `length` bytes: for messages that are put together from parts encoded before. */
export function fieldHeader(field: number, length: number): Buffer {
  const header: number[] = [];
  varint(header, field * 8 + WireType.LengthDelimited);
  varint(header, length);
  return Buffer.from(header);
}

/** Up to 2^53: seven bits a byte, the lowest first. */
function varint(into: number[], value: number): void {
  let left = value;
  for (; left > 127; left = Math.floor(left / 128)) into.push((left % 128) | 128);
  into.push(left);
}

/** The same memory as a Buffer. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
