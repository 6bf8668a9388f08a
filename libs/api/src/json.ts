import { createFileRegistry, fromBinary, fromJson, toBinary, toJson, type DescMessage, type FileRegistry, type JsonValue } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { descriptorSet } from './gen/descriptors.ts';
import { withProtoDurations } from './go-durations.ts';

let registry: WeakRef<FileRegistry> | undefined;

/**
 * Every message of proto/ and Envoy's protos by name. Built on use and given up with the memory's next clean-up: only admin pages and
 * bootstrap files need it, and its megabytes would stay for nothing.
 */
export function messageRegistry(): FileRegistry {
  const kept = registry?.deref();
  if (kept !== undefined) return kept;
  const made = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(descriptorSet, 'base64')));
  registry = new WeakRef(made);
  return made;
}

/**
 * Proto3 JSON to bytes, strictly: an unknown field, a wrong type or an unknown `@type` throws an Error that names it.
 * `typeName` is the full message name, e.g. "envoy.config.bootstrap.v3.Bootstrap". Snake case and camel case are both read.
 * With `ignoreUnknownFields` (default false) unknown fields are left out in silence; with `goDurations` (default false) "500ms" and "1m" are durations, too.
 */
export function jsonToBinary(typeName: string, json: unknown, options: { readonly ignoreUnknownFields?: boolean; readonly goDurations?: boolean } = {}): Uint8Array {
  const schema = messageSchema(typeName);
  const value = options.goDurations === true ? withProtoDurations(schema, json) : json;
  return toBinary(schema, fromJson(schema, value as JsonValue, { registry: messageRegistry(), ignoreUnknownFields: options.ignoreUnknownFields ?? false }));
}

/** Bytes to proto3 JSON with Envoy's snake_case field names; Any values whose type we know are expanded, others throw. */
export function binaryToJson(typeName: string, bytes: Uint8Array): JsonValue {
  const schema = messageSchema(typeName);
  return toJson(schema, fromBinary(schema, bytes), { registry: messageRegistry(), useProtoFieldName: true });
}

/** The descriptor of a message; an unknown name throws. */
export function messageSchema(typeName: string): DescMessage {
  const schema = messageRegistry().getMessage(typeName);
  if (!schema) throw new Error(`unknown message type ${typeName}`);
  return schema;
}
