import { inbound, numberOf, textOf, type Attributes, type ConnectionEvent } from '../attributes/vocabulary.ts';
import type { Template } from '../runtime.ts';

/** One end of an edge; "unknown" where nobody said. */
export interface Workload {
  readonly name: string;
  readonly namespace: string;
  readonly app: string;
  readonly version: string;
  readonly canonicalService: string;
  readonly cluster: string;
  readonly principal: string;
}

export interface ServiceName {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/** `error`: 5xx, no response, a failed gRPC status or a broken connection. `clientError`: 4xx. */
export type Outcome = 'success' | 'clientError' | 'error';

/** One event between two workloads, as one of the two sidecars saw it. */
export interface EdgeInstance {
  readonly reporter: 'source' | 'destination';
  readonly source: Workload;
  readonly destination: Workload;
  readonly service: ServiceName;
  readonly protocol: string;
  readonly event: 'request' | ConnectionEvent;
  readonly outcome: Outcome;
  readonly responseFlags: readonly string[];
  readonly durationMs: number;
  /** Towards the destination. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Undefined when this reporter cannot know. */
  readonly mtls: boolean | undefined;
}

export const edgeTemplate: Template<EdgeInstance> = {
  name: 'edge',
  instance(attributes: Attributes): EdgeInstance {
    const event = attributes.get('connection.event') as ConnectionEvent | undefined;
    const mtls = attributes.get('connection.mtls');
    const flags = textOf(attributes, 'context.proxy_error_code', '-');
    const responseFlags = flags === '-' ? [] : flags.split(',').slice(0, 8);
    return {
      reporter: attributes.get('context.reporter.kind') === inbound ? 'destination' : 'source',
      source: workload(attributes, 'source'),
      destination: workload(attributes, 'destination'),
      service: { host: textOf(attributes, 'destination.service.host'), name: textOf(attributes, 'destination.service.name'), namespace: textOf(attributes, 'destination.service.namespace') },
      protocol: textOf(attributes, 'context.protocol'),
      event: event ?? 'request',
      outcome: event ? connectionOutcome(responseFlags) : requestOutcome(attributes),
      responseFlags,
      durationMs: event ? numberOf(attributes, 'connection.duration') : numberOf(attributes, 'response.duration'),
      requestBytes: numberOf(attributes, event ? 'connection.received.bytes' : 'request.size'),
      responseBytes: numberOf(attributes, event ? 'connection.sent.bytes' : 'response.size'),
      mtls: typeof mtls === 'boolean' ? mtls : undefined,
    };
  },
};

function workload(attributes: Attributes, side: 'source' | 'destination'): Workload {
  return {
    name: textOf(attributes, `${side}.workload.name`),
    namespace: textOf(attributes, `${side}.workload.namespace`),
    app: textOf(attributes, `${side}.app`),
    version: textOf(attributes, `${side}.version`),
    canonicalService: textOf(attributes, `${side}.canonical_service`),
    cluster: textOf(attributes, `${side}.cluster`),
    principal: textOf(attributes, `${side}.principal`),
  };
}

function requestOutcome(attributes: Attributes): Outcome {
  const code = numberOf(attributes, 'response.code');
  const grpc = textOf(attributes, 'response.grpc_status', '0');
  if (code === 0 || code >= 500 || !(grpc === '0' || grpc === 'OK')) return 'error';
  return code >= 400 ? 'clientError' : 'success';
}

const brokenConnection: ReadonlySet<string> = new Set(['UF', 'UH', 'UO', 'UC', 'NR', 'NC', 'URX', 'UMSDR', 'UPE', 'DF', 'UAEX', 'RL']);

function connectionOutcome(flags: readonly string[]): Outcome {
  return flags.some((flag) => brokenConnection.has(flag)) ? 'error' : 'success';
}
