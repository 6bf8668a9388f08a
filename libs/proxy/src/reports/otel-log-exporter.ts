import { ExportLogsServiceRequest, ExportLogsServiceResponse } from '@meltemi/api/gen/opentelemetry/proto/collector/logs/v1/logs_service.ts';
import type { AnyValue, KeyValue } from '@meltemi/api/gen/opentelemetry/proto/common/v1/common.ts';
import type { LogRecord } from '@meltemi/api/gen/opentelemetry/proto/logs/v1/logs.ts';
import { StreamInfo, unknownConnection } from '@meltemi/http';
import type { Counter, FlatStats } from '@meltemi/observe';
import type { AsyncPort } from '../http/async-request.ts';
import { callGrpc } from '../http/grpc-call.ts';
import { metadataOf } from '../http/grpc-service.ts';
import type { NodeFacts } from '../node.ts';
import { Batches } from './batches.ts';
import { otelLogRecord, otelResource, type OtelAccessLogConfig } from './otel-access-log.ts';

const method = '/opentelemetry.proto.collector.logs.v1.LogsService/Export';
const maxAnswerBytes = 64 * 1024;
/** Records waiting or on their way, per log; beyond it the newest are dropped and counted. */
const maxRecords = 5000;
/** Records of one call. */
const maxBatch = 500;

export interface OtelLogParts extends AsyncPort {
  readonly stats: FlatStats;
  readonly node: NodeFacts;
}

/** Gathers the records of one access log and sends them in batches; what a collector does not take is dropped and counted. No request waits. */
export class OtelLogExporter {
  readonly #config: OtelAccessLogConfig;
  readonly #parts: OtelLogParts;
  readonly #resource: ReturnType<typeof otelResource>;
  readonly #written: Counter;
  readonly #dropped: Counter;
  readonly #batches: Batches<LogRecord>;

  constructor(config: OtelAccessLogConfig, parts: OtelLogParts) {
    this.#config = config;
    this.#parts = parts;
    this.#resource = otelResource(config, parts.node);
    const prefix = `access_logs.open_telemetry_access_log.${config.statPrefix}`;
    this.#written = parts.stats.counter(`${prefix}logs_written`);
    this.#dropped = parts.stats.counter(`${prefix}logs_dropped`);
    this.#batches = new Batches({ maxHeld: maxRecords, maxItems: maxBatch, maxBytes: config.bufferBytes, sizeOf, flushMs: config.flushMs, clock: parts.clock, send: (records, over) => this.#send(records, over) });
  }

  /** A stream or session is over, or on its way where the log wants that. */
  readonly add = (info: StreamInfo): void => {
    if (this.#batches.full) this.#dropped.inc();
    else this.#batches.add(otelLogRecord(this.#config, info));
  };

  /** Sends what waits, and resolves when the collector has answered for everything. */
  finished(): Promise<void> {
    return this.#batches.finished();
  }

  #send(records: readonly LogRecord[], over: () => void): void {
    const { cluster, authority, timeoutMs } = this.#config.target;
    const message = ExportLogsServiceRequest.encode({ resourceLogs: [{ resource: { attributes: this.#resource }, scopeLogs: [{ scope: undefined, logRecords: [...records] }] }] }).finish();
    const metadata = metadataOf(this.#config.target, new StreamInfo(unknownConnection, 0, 0));
    callGrpc({ cluster, authority, path: method, message, metadata, timeoutMs, maxBytes: maxAnswerBytes }, this.#parts, (result) => {
      const rejected = result.ok ? rejectedBy(result.value, records.length) : records.length;
      this.#written.inc(records.length - rejected);
      this.#dropped.inc(rejected);
      over();
    });
  }
}

function rejectedBy(answer: Buffer, count: number): number {
  try {
    return Math.min(count, Number(ExportLogsServiceResponse.decode(answer).partialSuccess?.rejectedLogRecords ?? 0n));
  } catch {
    return count;
  }
}

/** Bytes of time, trace and what frames them. */
const emptyRecordBytes = 32;

/** About what the record needs on the wire. */
function sizeOf({ body, attributes }: LogRecord): number {
  return emptyRecordBytes + valueSize(body) + pairsSize(attributes);
}

function pairsSize(pairs: readonly KeyValue[]): number {
  let bytes = 0;
  for (const { key, value } of pairs) bytes += key.length + valueSize(value);
  return bytes;
}

function valueSize(value: AnyValue | undefined): number {
  const inner = value?.value;
  switch (inner?.$case) {
    case 'stringValue':
      return inner.value.length + 6;
    case 'arrayValue':
      return inner.value.values.reduce((sum, one) => sum + valueSize(one), 6);
    case 'kvlistValue':
      return pairsSize(inner.value.values) + 6;
    default:
      return 6;
  }
}
