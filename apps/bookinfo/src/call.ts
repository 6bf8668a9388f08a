import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';

/** Headers an application must hand on so that traces join and routing by user works; the mesh cannot do it for it. */
const propagated = [
  'end-user', 'user-agent', 'x-request-id', 'traceparent', 'tracestate', 'b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags',
  'x-ot-span-context', 'grpc-trace-bin', 'x-cloud-trace-context', 'x-datadog-trace-id', 'x-datadog-parent-id', 'x-datadog-sampling-priority', 'authorization', 'cookie',
] as const;

export function headersToForward(headers: IncomingMessage['headers']): Record<string, string> {
  const forwarded: Record<string, string> = {};
  for (const name of propagated) {
    const value = headers[name];
    if (typeof value === 'string') forwarded[name] = value;
  }
  return forwarded;
}

export interface CallResult {
  readonly status: number;
  readonly body: string;
}

const maxReplyBytes = 1024 * 1024;

/** GETs a URL; rejects on a connection error, a reply above 1 MiB, or after `timeoutMs`. Follows http_proxy when NODE_USE_ENV_PROXY=1. */
export function get(url: string, options: { headers: Record<string, string>; timeoutMs: number }): Promise<CallResult> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(options.timeoutMs);
    const call = httpRequest(url, { headers: options.headers, signal }, (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > maxReplyBytes) response.destroy(new Error('the reply is larger than 1 MiB'));
        else parts.push(part);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }));
      response.on('error', reject);
    });
    call.on('error', (cause) => reject(signal.aborted ? new Error(`no answer within ${options.timeoutMs} ms`) : cause));
    call.end();
  });
}
