export { messageRegistry, jsonToBinary, binaryToJson } from './json.ts';
export { packAny, typeNameOf, typeUrlPrefix, type MessageCodec } from './any.ts';
