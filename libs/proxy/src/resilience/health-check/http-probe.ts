import { HeaderMap, RequestHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { applyHeaderOps } from '@meltemi/route';
import type { HttpCheck, StatusRange } from '@meltemi/snapshot';
import type { Http2CodecOptions } from '../../codec/http2/options.ts';
import { HttpExchange, type ExchangeResult } from './http-exchange.ts';
import { payloadsMatch } from './payload-match.ts';
import { networkFailure, type CheckResult, type CheckTransport, type Probe } from './probe.ts';

export interface HttpProbeOptions {
  readonly transport: CheckTransport;
  readonly reuse: boolean;
  /** `host` of requests: the endpoint's own name for checks, the check's, or the cluster's. */
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  /** For checks over HTTP/2; the limits for both. */
  readonly http2: Http2CodecOptions;
  /** The answer named a service, which is compared: for verify_cluster. */
  onVerify(): void;
}

/** Asks over HTTP: the status decides, then what the body must hold, then the service's name. */
export class HttpProbe implements Probe {
  readonly #check: HttpCheck;
  readonly #options: HttpProbeOptions;
  readonly #exchange: HttpExchange;

  constructor(check: HttpCheck, options: HttpProbeOptions) {
    this.#check = check;
    this.#options = options;
    this.#exchange = new HttpExchange(options.transport, { reuse: options.reuse, maxBodyBytes: check.receive.length > 0 ? check.responseBufferBytes : 0, http2: check.protocol === 'http2' ? options.http2 : null, limits: options.http2.limits });
  }

  start(done: (result: CheckResult) => void): void {
    const { method, path, send, requestHeaders } = this.#check;
    const head = new RequestHead(method, path, this.#options.authority, HeaderMap.from({ 'user-agent': 'Envoy/HC' }), this.#options.scheme);
    if (send !== null) head.headers.set('content-length', String(send.length));
    if (requestHeaders.length > 0) applyHeaderOps(requestHeaders, head.headers, new StreamInfo(unknownConnection, 0, 0));
    this.#exchange.send(head, send, (result) => done(this.#judge(result)));
  }

  close(): void {
    this.#exchange.close();
  }

  #judge(result: ExchangeResult): CheckResult {
    if (result.kind === 'lost') return networkFailure(result.reason);
    const { head, body } = result;
    const { expectedStatuses, retriableStatuses, receive, serviceName } = this.#check;
    const failed = (reason: string, counted = false): CheckResult => ({ kind: 'failed', counted, network: false, excluded: head.headers.has('x-envoy-immediate-health-check-fail'), reason });
    if (!inRanges(head.status, expectedStatuses)) return failed(`answered ${head.status}`, inRanges(head.status, retriableStatuses));
    if (receive.length > 0 && !payloadsMatch(receive, body)) return failed('answered without what was expected');
    if (serviceName !== null) {
      this.#options.onVerify();
      const service = head.headers.get('x-envoy-upstream-healthchecked-cluster') ?? '';
      if (!serviceName.matches(service)) return failed(`is of the service "${service}"`);
    }
    return { kind: 'passed', degraded: head.headers.has('x-envoy-degraded') };
  }
}

function inRanges(status: number, ranges: readonly StatusRange[]): boolean {
  return ranges.some(({ from, to }) => status >= from && status < to);
}
