import { journey } from '../journey/journey.ts';
import { hostOf } from '../walk/connection.ts';
import type { MeshViews } from '../mesh-views.ts';
import type { Observation } from './observation.ts';

type Fields = Readonly<Record<string, unknown>>;
type One = Omit<Observation, 'count' | 'answers'>;

/** What telemetry's GET /accesses answers; entries of other forms are passed over. */
export function readAccesses(accesses: readonly unknown[]): Observation[] {
  return accesses.flatMap((entry): Observation[] => {
    const fields = recordOf(entry);
    const answers = recordOf(fields?.['answers']);
    if (fields === undefined || answers === undefined || text(fields, 'workload') === '') return [];
    return [{
      workload: text(fields, 'workload'), port: number(fields, 'port'), protocol: fields['protocol'] === 'tcp' ? 'tcp' : 'http', principal: bare(text(fields, 'principal')), sourceIp: text(fields, 'sourceIp'), method: text(fields, 'method'),
      host: text(fields, 'host'), path: text(fields, 'path'), denied: fields['denied'] === true, count: number(fields, 'count'),
      answers: { ok: number(answers, 'ok'), clientError: number(answers, 'clientError'), error: number(answers, 'error') }, lastSeenMs: Date.parse(text(fields, 'lastSeen')) || 0,
    }];
  });
}

export interface ReadLog {
  readonly observations: readonly Observation[];
  /** Lines that are no JSON access log, or whose workload nobody can tell. */
  readonly passedOver: number;
}

/**
 * The access log of a proxy, in JSON with Istio's field names, one entry a line. Inbound lines are taken as they are: the caller is in downstream_peer_uri_san
 * or source_principal (put %DOWNSTREAM_PEER_URI_SAN% into the log's format). Outbound lines of `workload` are followed through the mesh to whom they reached.
 */
export function readAccessLog(log: string, views: MeshViews, { workload, nowMs }: { readonly workload?: string | undefined; readonly nowMs: number }): ReadLog {
  const found = new Map<string, Observation>();
  let passedOver = 0;
  for (const line of log.split('\n')) {
    if (line.trim() === '') continue;
    const fields = parsed(line);
    const one = fields && (text(fields, 'upstream_cluster').startsWith('outbound|') ? reachedBy(fields, views, { workload, nowMs }) : inboundLine(fields, views, workload));
    if (fields === undefined || one === undefined) passedOver += 1;
    else add(found, one, number(fields, 'response_code'));
  }
  return { observations: [...found.values()], passedOver };
}

/** The same from several places, counted together. */
export function merged(observations: readonly Observation[]): Observation[] {
  const found = new Map<string, Observation>();
  for (const one of observations) {
    const known = found.get(keyOf(one));
    found.set(keyOf(one), known === undefined ? one : {
      ...one, count: known.count + one.count, lastSeenMs: Math.max(known.lastSeenMs, one.lastSeenMs),
      answers: { ok: known.answers.ok + one.answers.ok, clientError: known.answers.clientError + one.answers.clientError, error: known.answers.error + one.answers.error },
    });
  }
  return [...found.values()];
}

function keyOf({ workload, port, protocol, principal, sourceIp, method, host, path, denied }: One): string {
  return JSON.stringify([workload, port, protocol, principal, sourceIp, method, host, path, denied]);
}

function add(found: Map<string, Observation>, one: One, status: number): void {
  const { count, answers, lastSeenMs } = found.get(keyOf(one)) ?? { count: 0, answers: { ok: 0, clientError: 0, error: 0 }, lastSeenMs: 0 };
  const answer = one.protocol === 'tcp' || (status >= 100 && status < 400) ? 'ok' : status >= 400 && status < 500 ? 'clientError' : 'error';
  found.set(keyOf(one), { ...one, count: count + 1, answers: { ...answers, [answer]: answers[answer] + 1 }, lastSeenMs: Math.max(lastSeenMs, one.lastSeenMs) });
}

function inboundLine(fields: Fields, views: MeshViews, workload: string | undefined): One | undefined {
  const local = /^\[?(.+?)\]?:(\d+)$/.exec(text(fields, 'downstream_local_address'));
  const known = views.push.registry.workloads.get(local?.[1] ?? '');
  const name = workload ?? (known && `${known.namespace}/${known.name}`);
  const port = Number(/^inbound\|(\d+)\|/.exec(text(fields, 'upstream_cluster'))?.[1] ?? local?.[2] ?? 0);
  if (name === undefined || port === 0) return undefined;
  const principal = ['downstream_peer_uri_san', 'source_principal'].map((field) => bare(text(fields, field).split(',')[0] ?? '')).find((one) => one !== '') ?? '';
  const details = text(fields, 'response_code_details') || text(fields, 'connection_termination_details');
  const http = text(fields, 'method') !== '';
  return {
    workload: name, port, protocol: http ? 'http' : 'tcp', principal, sourceIp: principal === '' ? (/^\[?(.+?)\]?:\d+$/.exec(text(fields, 'downstream_remote_address'))?.[1] ?? '') : '',
    method: text(fields, 'method'), host: http ? text(fields, 'authority') : '', path: http ? withoutQuery(text(fields, 'path')) : '', denied: details.startsWith('rbac_access_denied'), lastSeenMs: Date.parse(text(fields, 'start_time')) || 0,
  };
}

function reachedBy(fields: Fields, views: MeshViews, { workload, nowMs }: { readonly workload?: string | undefined; readonly nowMs: number }): One | undefined {
  const url = URL.parse(`http://${text(fields, 'authority')}${text(fields, 'path')}`);
  if (workload === undefined || url === null || text(fields, 'method') === '') return undefined;
  const followed = journey(views, { from: workload, method: text(fields, 'method'), url, headers: {} }, nowMs);
  const call = followed.ok ? followed.value.legs.at(-1)?.call : undefined;
  const reached = call?.mode === 'inbound' ? views.push.registry.workloads.get(call.address) : undefined;
  if (call === undefined || reached === undefined) return undefined;
  const principal = bare(call.principal);
  return {
    workload: `${reached.namespace}/${reached.name}`, port: call.port, protocol: 'http', principal, sourceIp: principal === '' ? call.sourceAddress : '', method: call.method, host: hostOf(call), path: withoutQuery(call.path),
    denied: number(fields, 'response_code') === 403 && text(fields, 'response_code_details') !== 'via_upstream', lastSeenMs: Date.parse(text(fields, 'start_time')) || 0,
  };
}

function withoutQuery(path: string): string {
  return path.split(/[?#]/, 1)[0] ?? '';
}

/** As AuthorizationPolicies write it. */
function bare(principal: string): string {
  return principal === '-' ? '' : principal.replace(/^spiffe:\/\//, '');
}

function parsed(line: string): Fields | undefined {
  try {
    return recordOf(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function recordOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' && value !== '-' ? value : '';
}

function number(fields: Fields, name: string): number {
  const value = Number(fields[name] ?? 0);
  return Number.isFinite(value) ? value : 0;
}
