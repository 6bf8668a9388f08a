import { HealthCheckRequest, HealthCheckResponse, HealthCheckResponse_ServingStatus as Serving } from '@meltemi/api/gen/grpc/health/v1/health.ts';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { applyHeaderOps } from '@meltemi/route';
import type { GrpcCheck } from '@meltemi/snapshot';
import type { Http2CodecOptions } from '../../codec/http2/options.ts';
import { grpcFrame, readGrpcAnswer } from '../../http/grpc-call.ts';
import { HttpExchange, type ExchangeResult } from './http-exchange.ts';
import { networkFailure, type CheckResult, type CheckTransport, type Probe } from './probe.ts';

export interface GrpcProbeOptions {
  readonly transport: CheckTransport;
  readonly reuse: boolean;
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly http2: Http2CodecOptions;
}

const maxAnswerBytes = 1024;

/** Calls grpc.health.v1.Health/Check: only SERVING passes. */
export class GrpcProbe implements Probe {
  readonly #check: GrpcCheck;
  readonly #options: GrpcProbeOptions;
  readonly #exchange: HttpExchange;
  readonly #body: Buffer;

  constructor(check: GrpcCheck, options: GrpcProbeOptions) {
    this.#check = check;
    this.#options = options;
    this.#exchange = new HttpExchange(options.transport, { reuse: options.reuse, maxBodyBytes: maxAnswerBytes, http2: options.http2, limits: options.http2.limits });
    this.#body = grpcFrame(HealthCheckRequest.encode({ service: check.serviceName }).finish());
  }

  start(done: (result: CheckResult) => void): void {
    const headers = new HeaderMap(['te', 'trailers', 'content-type', 'application/grpc', 'user-agent', 'Envoy/HC']);
    const head = new RequestHead('POST', '/grpc.health.v1.Health/Check', this.#options.authority, headers, this.#options.scheme, 'HTTP/2');
    if (this.#check.metadata.length > 0) applyHeaderOps(this.#check.metadata, headers, new StreamInfo(unknownConnection, 0, 0));
    this.#exchange.send(head, this.#body, (result) => done(judge(result)));
  }

  close(): void {
    this.#exchange.close();
  }
}

function judge(result: ExchangeResult): CheckResult {
  if (result.kind === 'lost') return networkFailure(result.reason);
  const failed = (reason: string): CheckResult => ({ kind: 'failed', counted: false, network: false, excluded: false, reason });
  const answer = readGrpcAnswer({ ...result, status: result.head.status });
  if (!answer.ok) return failed(`gRPC status ${answer.error.status}: ${answer.error.message}`);
  try {
    const { status } = HealthCheckResponse.decode(answer.value);
    return status === Serving.SERVING ? { kind: 'passed', degraded: false } : failed(`serving status ${status}`);
  } catch {
    return failed('answered what is not a HealthCheckResponse');
  }
}
