import type { ObjectMeta } from '../../../object.ts';
import type { Findings } from '../../../rules/findings.ts';
import { wildcardDomainReason } from '../../../rules/hosts.ts';
import { list, strings } from '../../../schema/containers.ts';
import { int, oneOf, string } from '../../../schema/scalars.ts';
import { item, optional, required } from '../../../schema/schema.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import type * as ingresses from './types.ts';

const backend = kubeObject<ingresses.IngressBackend>({
  service: optional(
    kubeObject<NonNullable<ingresses.IngressBackend['service']>>({ name: required(string({ minLength: 1 })), port: kubeObject<{ readonly number: number; readonly name: string }>({ number: int('int32'), name: string() }) }),
  ),
  resource: optional(kubeObject<NonNullable<ingresses.IngressBackend['resource']>>({ apiGroup: string(), kind: required(string()), name: required(string()) })),
});

const path = kubeObject<ingresses.IngressPath>({ path: string(), pathType: oneOf(['ImplementationSpecific', 'Exact', 'Prefix']), backend: required(backend) });

export const ingress = kubeKind<ingresses.IngressSpec>({
  group: 'networking.k8s.io',
  kind: 'Ingress',
  plural: 'ingresses',
  shortNames: ['ing'],
  versions: ['v1'],
  schema: kubeObject<ingresses.IngressSpec>({
    ingressClassName: optional(string()),
    defaultBackend: optional(backend),
    tls: list(kubeObject<ingresses.IngressTls>({ hosts: strings(), secretName: string() })),
    rules: list(kubeObject<ingresses.IngressRule>({ host: string(), http: optional(kubeObject<NonNullable<ingresses.IngressRule['http']>>({ paths: required(list(path, { minItems: 1 })) })) })),
  }),
  validate,
});

export const ingressClass = kubeKind<ingresses.IngressClassSpec>({
  group: 'networking.k8s.io',
  kind: 'IngressClass',
  plural: 'ingressclasses',
  versions: ['v1'],
  scope: 'cluster',
  schema: kubeObject<ingresses.IngressClassSpec>({ controller: string({ maxLength: 250 }) }),
});

/** What Kubernetes' API server asks of an Ingress. */
function validate(spec: ingresses.IngressSpec, _about: ObjectMeta, findings: Findings): void {
  if (spec.rules.length === 0 && !spec.defaultBackend) findings.error('spec', 'one of defaultBackend, rules must be set');
  if (spec.defaultBackend) checkBackend(spec.defaultBackend, 'spec.defaultBackend', findings);
  for (const [i, { host, http }] of spec.rules.entries()) {
    const at = item('spec.rules', i);
    if (host !== '') findings.check(`${at}.host`, wildcardDomainReason(host));
    for (const [n, one] of (http?.paths ?? []).entries()) checkPath(one, item(`${at}.http.paths`, n), findings);
  }
}

function checkPath({ path: text, pathType, backend: to }: ingresses.IngressPath, at: string, findings: Findings): void {
  if (pathType !== 'ImplementationSpecific') {
    const bad = ['//', '/./', '/../', '%2f', '%2F'].find((part) => text.includes(part));
    if (!text.startsWith('/')) findings.error(`${at}.path`, `${JSON.stringify(text)} must start with "/" for pathType ${pathType}`);
    else if (bad !== undefined) findings.error(`${at}.path`, `"${text}" must not contain "${bad}"`);
  }
  checkBackend(to, `${at}.backend`, findings);
}

function checkBackend({ service, resource }: ingresses.IngressBackend, at: string, findings: Findings): void {
  if (service && resource) findings.error(at, 'only one of service, resource may be set');
  if (!service && !resource) findings.error(at, 'one of service, resource must be set');
  if (!service) return;
  const { number, name } = service.port;
  if ((number === 0) === (name === '')) findings.error(`${at}.service.port`, 'exactly one of number, name must be set');
  if (number < 0 || number > 65535) findings.error(`${at}.service.port.number`, `must be in the range 1…65535, found ${number}`);
}
