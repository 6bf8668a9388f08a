export { HeaderMap } from './header-map.ts';
export { RequestHead, ResponseHead, type HttpProtocol } from './heads.ts';
export { ResponseFlag, responseFlagNames, formatResponseFlags, formatResponseFlagsLong, type ResponseFlagName } from './response-flags.ts';
export { StreamInfo, unknownConnection, type ConnectionInfo, type DynamicMetadata, type TlsInfo } from './stream-info.ts';
export { compileFormat, type Formatter } from './substitution.ts';
