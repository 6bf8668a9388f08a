export { messageRegistry, jsonToBinary, binaryToJson } from './json.ts';
export { packAny, typeNameOf, typeUrlPrefix, type MessageCodec } from './any.ts';
export { mergeBinary, type MergeOptions } from './merge.ts';
export { isMap, rewriteJson, type JsonMap, type JsonRewriter } from './rewrite-json.ts';
export { bufferOf, fieldHeader } from './field.ts';
