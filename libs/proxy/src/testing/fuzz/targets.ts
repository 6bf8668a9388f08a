import { dnsQuery, dnsReply } from './dns-targets.ts';
import { httpPath } from './http-path-target.ts';
import { http1Chunked, http1Request, http1Response } from './http1-targets.ts';
import { http2Frames } from './http2-frames-target.ts';
import { hpack, http2Client, http2Server } from './http2-targets.ts';
import { clientHello, httpPreface, path } from './inspect-targets.ts';
import { grpcWebText, jwt, proxyProtocol } from './message-targets.ts';
import type { FuzzTarget } from './target.ts';

/** Every parser that reads bytes of strangers, and the whole path. A new parser gets its line here: `npm run fuzz -- --inputs N` runs them all. */
export const fuzzTargets: readonly FuzzTarget[] = [
  http1Request, http1Response, http1Chunked, http2Frames, http2Server, http2Client, hpack, clientHello, httpPreface, proxyProtocol, grpcWebText, jwt, path, dnsQuery, dnsReply, httpPath,
];
