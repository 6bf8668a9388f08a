import { status, type ServerErrorResponse } from '@grpc/grpc-js';
import { fail, formatFieldErrors, type FieldError, type Result } from '@meltemi/base';
import type { StreamAccessLogsMessage } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';
import { formatSpiffeId, type SpiffeId } from '@meltemi/identity';
import { ConnectionTracker, httpAttributes, parseReporter, tcpAttributes, type Attributes, type Reporter } from '@meltemi/mixer';
import type { AccessLogStats } from './stats.ts';

/** Identity is looked at again this often: a certificate may expire while its connection stays open. */
const recheckMs = 60_000;

export interface ReportingStreamPorts {
  /** Who is at the other end by its certificate; undefined on a plaintext server, where nobody proves anything. */
  readonly identify: (() => Result<SpiffeId>) | undefined;
  /** Trust domain of the mesh: node names have none, so only its identities may report. */
  readonly trustDomain: string | undefined;
  readonly report: (attributes: Attributes) => void;
  readonly stats: AccessLogStats;
  readonly now: () => number;
  /** Told of entries that were refused, at most once a stream: a wrong proxy is wrong in every entry. */
  readonly onBadEntry: (reporter: Reporter, errors: readonly FieldError[]) => void;
}

/** One proxy's stream: the first message says who sends, the rest is entries. Returns the refusal that must end the stream. */
export class ReportingStream {
  readonly #ports: ReportingStreamPorts;
  readonly #connections = new ConnectionTracker();
  #reporter: Reporter | undefined;
  #checkedMs = -Infinity;
  #complained = false;

  constructor(ports: ReportingStreamPorts) {
    this.#ports = ports;
  }

  receive(message: StreamAccessLogsMessage): Partial<ServerErrorResponse> | undefined {
    if (this.#ports.now() - this.#checkedMs > recheckMs || message.identifier) {
      const refusal = this.#check(message);
      if (refusal) return refusal;
    }
    const reporter = this.#reporter;
    if (!reporter) return refuse(status.INVALID_ARGUMENT, [{ path: 'identifier', message: 'the first message of a stream must carry it' }]);
    const { stats } = this.#ports;
    const logs = message.logEntries;
    if (logs?.$case === 'httpLogs') {
      stats.entries.labels('http').inc(logs.value.logEntry.length);
      for (const entry of logs.value.logEntry) this.#use(reporter, httpAttributes(entry, reporter));
    } else if (logs?.$case === 'tcpLogs') {
      stats.entries.labels('tcp').inc(logs.value.logEntry.length);
      for (const entry of logs.value.logEntry) this.#use(reporter, tcpAttributes(entry, reporter, this.#connections));
    }
    return undefined;
  }

  #check(message: StreamAccessLogsMessage): Partial<ServerErrorResponse> | undefined {
    const identity = this.#ports.identify?.();
    if (identity && !identity.ok) {
      this.#ports.stats.streamsRefused.labels('identity').inc();
      return refuse(status.UNAUTHENTICATED, identity.error);
    }
    this.#checkedMs = this.#ports.now();
    if (!message.identifier) return undefined;
    const parsed = parseReporter(message.identifier.node, identity ? formatSpiffeId(identity.value) : '');
    const honest = parsed.ok && identity ? matchIdentity(parsed.value, identity.value, this.#ports.trustDomain) : parsed;
    if (!honest.ok) {
      this.#ports.stats.streamsRefused.labels(parsed.ok ? 'identity' : 'node').inc();
      return refuse(parsed.ok ? status.PERMISSION_DENIED : status.INVALID_ARGUMENT, honest.error);
    }
    this.#reporter = honest.value;
    return undefined;
  }

  #use(reporter: Reporter, result: Result<Attributes | Attributes[] | undefined>): void {
    if (!result.ok) {
      this.#ports.stats.entriesRefused.labels('invalid').inc();
      if (!this.#complained) this.#ports.onBadEntry(reporter, result.error);
      this.#complained = true;
    } else if (Array.isArray(result.value)) for (const attributes of result.value) this.#ports.report(attributes);
    else if (result.value) this.#ports.report(result.value as Attributes);
  }
}

/** A proxy may report only for the workload whose certificate it holds. */
function matchIdentity(reporter: Reporter, identity: SpiffeId, trustDomain: string | undefined): Result<Reporter> {
  if (trustDomain !== undefined && identity.trustDomain !== trustDomain) return fail('identifier.node', `${formatSpiffeId(identity)} is not of trust domain ${trustDomain}, whose workloads report here`);
  const says = `the node says ${reporter.namespace}/${reporter.serviceAccount || '(no service account)'}, the certificate ${formatSpiffeId(identity)}`;
  if (reporter.namespace !== identity.namespace) return fail('identifier.node', `namespace does not match: ${says}`);
  if (reporter.serviceAccount !== '' && reporter.serviceAccount !== identity.serviceAccount) return fail('identifier.node', `service account does not match: ${says}`);
  return { ok: true, value: reporter };
}

function refuse(code: number, errors: readonly FieldError[]): Partial<ServerErrorResponse> {
  return { code, details: formatFieldErrors(errors) };
}
