/** One kind of access that was observed at a workload, with all that an AuthorizationPolicy can say of it. */
export interface Observation {
  /** namespace/name of the workload that was asked. */
  readonly workload: string;
  readonly port: number;
  readonly protocol: 'http' | 'tcp';
  /** "cluster.local/ns/default/sa/web", as AuthorizationPolicies write it; "" for plaintext. */
  readonly principal: string;
  /** Of callers without a principal. */
  readonly sourceIp: string;
  readonly method: string;
  readonly host: string;
  /** Without query. */
  readonly path: string;
  /** An AuthorizationPolicy refused it. */
  readonly denied: boolean;
  readonly count: number;
  readonly answers: { readonly ok: number; readonly clientError: number; readonly error: number };
  /** Milliseconds since the epoch; 0 when nobody knows. */
  readonly lastSeenMs: number;
}

/** The application never answered it with anything but 4xx: somebody's mistake, or somebody who tries what is there. */
export function isDoubtful({ denied, answers }: Observation): boolean {
  return !denied && answers.clientError > 0 && answers.ok + answers.error === 0;
}

/** "GET reviews:9080/reviews/0", or "port 9000 (TCP)". */
export function requestText({ protocol, method, host, path, port }: Observation): string {
  return protocol === 'tcp' ? `port ${port} (TCP)` : `${method || '(a method without a name)'} ${host === '' ? `:${port}` : host}${path || '/(a path too long to be kept)'}`;
}

/** Who called: the principal, or what is known of somebody without one. */
export function callerText({ principal, sourceIp }: Observation): string {
  return principal === '' ? `plaintext caller ${sourceIp || '(address unknown)'}` : principal;
}

/** Why nobody can write a rule for exactly this, or undefined. Stars and braces mean something else in rules than in requests. */
export function unwritable({ protocol, principal, sourceIp, method, host, path }: Observation, withHosts: boolean): string | undefined {
  if (principal.includes('*')) return 'its principal holds a *';
  if (principal === '' && sourceIp === '') return 'nothing is known of its caller';
  if (protocol === 'tcp') return undefined;
  if (!/^[!#$%&'+.^_`|~0-9A-Za-z-]+$/.test(method)) return 'its method is not known';
  if (path === '') return 'its path is too long to be kept';
  if (!path.startsWith('/') || path.endsWith('*') || /[{}]/.test(path) || /[^!-~]/.test(path)) return 'its path cannot be written in a rule: it would mean more than itself';
  return withHosts && (host === '' || /[*{}\s]/.test(host)) ? 'its host cannot be written in a rule' : undefined;
}
