import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Tag and length that stand before a field of `length` bytes: for messages that are put together from parts encoded before. */
export function fieldHeader(field: number, length: number): Buffer {
  return bufferOf(new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length).finish());
}

/** The same memory as a Buffer. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
