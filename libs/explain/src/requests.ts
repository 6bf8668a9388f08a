import { parse } from 'yaml';
import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import { list, object, required, string, stringMap } from '@meltemi/config';
import type { JourneyRequest } from './journey/journey.ts';

interface Written {
  readonly from: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

const schema = list(object<Written>({ from: required(string()), method: string(), url: required(string()), headers: stringMap() }));

/** Reads requests that are of interest: [{from: default/productpage, method: GET, url: http://reviews:9080/reviews/0, headers: {…}}]. */
export function readRequests(text: string): Result<readonly JourneyRequest[]> {
  let input: unknown;
  try {
    input = parse(text, { maxAliasCount: 100 });
  } catch (error) {
    return fail('', `is neither JSON nor YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  const errors: FieldError[] = [];
  const written = schema.decode(input ?? [], 'requests', errors);
  const requests = written.flatMap(({ from, method, url, headers }, i): JourneyRequest[] => {
    const parsed = URL.parse(url);
    if (parsed === null) errors.push({ path: `requests[${i}].url`, message: `"${url}" is no URL` });
    return parsed === null ? [] : [{ from, method: method || 'GET', url: parsed, headers }];
  });
  return errors.length > 0 ? err(errors) : ok(requests);
}

/** Istio's text format begins so: [start] "METHOD path protocol" … "authority" … */
const textLine = /^\[[^\]]*\] "(\S+) (\S+) HTTP\/[\d.]+"(.*)$/;

/** The different requests in the access log of a workload's proxy, newest first; lines of other forms are passed over. At most `max`. */
export function requestsSeen(from: string, log: string, max = 1000): JourneyRequest[] {
  const found = new Map<string, JourneyRequest>();
  for (const line of log.split('\n').reverse()) {
    const seen = line.startsWith('{') ? fromJson(line) : fromText(line);
    const url = seen && URL.parse(`http://${seen.authority}${seen.path}`);
    if (!seen || !url || !seen.outbound) continue;
    found.set(`${seen.method} ${url.href}`, { from, method: seen.method, url, headers: {} });
    if (found.size >= max) break;
  }
  return [...found.values()];
}

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly outbound: boolean;
}

function fromText(line: string): Seen | undefined {
  const head = textLine.exec(line);
  if (!head) return undefined;
  // quoted behind the head: transport failure, x-forwarded-for, user agent, request id, authority, upstream host
  const quoted = [...(head[3] ?? '').matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? '');
  return { method: head[1] ?? '', path: head[2] ?? '', authority: quoted[4] ?? '', outbound: !/ inbound\|/.test(head[3] ?? '') };
}

function fromJson(line: string): Seen | undefined {
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    const text = (key: string) => (typeof entry[key] === 'string' ? entry[key] : '');
    return text('method') === '' ? undefined : { method: text('method'), path: text('path'), authority: text('authority'), outbound: !text('upstream_cluster').startsWith('inbound|') };
  } catch {
    return undefined;
  }
}
