/** Frame types and flags, RFC 9113 §6. @hot */
export const FrameType = { data: 0, headers: 1, priority: 2, rstStream: 3, settings: 4, pushPromise: 5, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 } as const;

export const Flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const Setting = { headerTableSize: 1, enablePush: 2, maxConcurrentStreams: 3, initialWindowSize: 4, maxFrameSize: 5, maxHeaderListSize: 6, enableConnectProtocol: 8 } as const;

export const frameHeadBytes = 9;
/** The largest payload we take and send: the smallest every peer must take. */
export const maxFrameBytes = 16_384;
export const maxWindow = 0x7fff_ffff;
export const initialWindow = 65_535;

export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
