import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { Any } from './gen/google/protobuf/any.ts';

/** The static side of a ts-proto message. */
export interface MessageCodec<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
  decode(input: Uint8Array): T;
}

export const typeUrlPrefix = 'type.googleapis.com/';

/** One buffer for all: making it anew costs more than a small message. Undefined while somebody writes, and when a message threw. */
let spare: BinaryWriter | undefined;
/** What a large message left behind is not kept. */
const maxKeptBytes = 256 * 1024;

/** Packs `message` as google.protobuf.Any; `typeName` is the full message name without prefix. */
export function packAny<T>(typeName: string, codec: MessageCodec<T>, message: T): Any {
  return { typeUrl: typeUrlPrefix + typeName, value: encoded(codec, message) };
}

function encoded<T>(codec: MessageCodec<T>, message: T): Buffer {
  const writer = spare ?? new BinaryWriter();
  spare = undefined;
  const bytes = Buffer.from(codec.encode(message, writer).finish());
  if (bytes.length <= maxKeptBytes) spare = writer;
  return bytes;
}

/** The message name of a type URL: what follows the last slash. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}
