import type { Any } from './gen/google/protobuf/any.ts';

/** The static side of a ts-proto message. */
export interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(input: Uint8Array): T;
}

export const typeUrlPrefix = 'type.googleapis.com/';

/** Packs `message` as google.protobuf.Any; `typeName` is the full message name without prefix. */
export function packAny<T>(typeName: string, codec: MessageCodec<T>, message: T): Any {
  return { typeUrl: typeUrlPrefix + typeName, value: Buffer.from(codec.encode(message).finish()) };
}

/** The message name of a type URL: what follows the last slash. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}
