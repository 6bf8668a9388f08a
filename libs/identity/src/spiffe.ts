import { fail, ok, type Result } from '@meltemi/base';

/** Who a workload is: `spiffe://<trustDomain>/ns/<namespace>/sa/<serviceAccount>`, Istio's form of a SPIFFE id. */
export interface SpiffeId {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** SPIFFE-ID §2.3: a URI of at most 2048 bytes, its trust domain at most 255. */
const maxIdBytes = 2048;
const trustDomainForm = /^[a-z0-9._-]{1,255}$/;
/** Path segments may hold letters, digits, dot, dash, underscore; `.` and `..` are refused (SPIFFE-ID §2.2). */
const segmentForm = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,253}$/;

/** Reads exactly Istio's form. No other scheme, port, query, fragment, escape or trailing slash passes: an id has one spelling. */
export function parseSpiffeId(text: string): Result<SpiffeId> {
  if (text.length > maxIdBytes) return fail('', `a SPIFFE id has at most ${maxIdBytes} bytes, this has ${text.length}`);
  const [scheme, empty, trustDomain = '', ns, namespace = '', sa, serviceAccount = '', ...rest] = text.split('/');
  const shaped = scheme === 'spiffe:' && empty === '' && ns === 'ns' && sa === 'sa' && rest.length === 0;
  if (!shaped) return fail('', `${quote(text)} is not spiffe://<trust domain>/ns/<namespace>/sa/<service account>`);
  return spiffeId(trustDomain, namespace, serviceAccount);
}

/** Checks the three parts and makes an id of them. */
export function spiffeId(trustDomain: string, namespace: string, serviceAccount: string): Result<SpiffeId> {
  if (!trustDomainForm.test(trustDomain)) return fail('', `trust domain ${quote(trustDomain)} must be 1 to 255 of a-z, 0-9, '.', '-', '_'`);
  if (!segmentForm.test(namespace)) return fail('', `namespace ${quote(namespace)} must be 1 to 253 letters, digits, '.', '-', '_'`);
  if (!segmentForm.test(serviceAccount)) return fail('', `service account ${quote(serviceAccount)} must be 1 to 253 letters, digits, '.', '-', '_'`);
  return ok({ trustDomain, namespace, serviceAccount });
}

/** 1 to 255 of a-z, 0-9, '.', '-', '_' (SPIFFE-ID §2.1). */
export function isTrustDomain(text: string): boolean {
  return trustDomainForm.test(text);
}

/** The trust domain of any SPIFFE id, Istio's form or not; undefined when `uri` is none. */
export function trustDomainOf(uri: string): string | undefined {
  if (uri.length > maxIdBytes || !uri.startsWith('spiffe://')) return undefined;
  const [domain = '', ...segments] = uri.slice('spiffe://'.length).split('/');
  return isTrustDomain(domain) && segments.every((segment) => segmentForm.test(segment)) ? domain : undefined;
}

export function formatSpiffeId(id: SpiffeId): string {
  return `spiffe://${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
}

/** Where the mesh's own programs live, as Istio names it. */
export const controlPlaneNamespace = 'istio-system';

/** The service accounts of the mesh's own programs. */
export type ControlPlaneProgram = 'citadel' | 'pilot' | 'telemetry';

/** The id of one of the mesh's own programs: `spiffe://<trustDomain>/ns/istio-system/sa/meltemi-<program>`. */
export function controlPlaneId(trustDomain: string, program: ControlPlaneProgram): SpiffeId {
  return { trustDomain, namespace: controlPlaneNamespace, serviceAccount: `meltemi-${program}` };
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
