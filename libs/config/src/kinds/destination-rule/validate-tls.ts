import type { Findings } from '../../rules/findings.ts';
import type { ClientTlsSettings } from './types.ts';

/** Also for TLS settings inside MeshConfig, whose namespace is "". */
export function checkClientTls(tls: ClientTlsSettings | undefined, path: string, { findings, namespace }: { findings: Findings; namespace: string }): void {
  if (!tls) return;
  if (tls.credentialName.startsWith('configmap://')) findings.check(`${path}.credentialName`, configMapReason(tls.credentialName, namespace));
  const simpleOrMutual = tls.mode === 'SIMPLE' || tls.mode === 'MUTUAL';
  if (tls.insecureSkipVerify === true && simpleOrMutual) checkSkipVerify(tls, path, findings);
  if (simpleOrMutual && tls.credentialName !== '') {
    for (const field of ['clientCertificate', 'privateKey', 'caCertificates', 'caCrl'] as const)
      if (tls[field] !== '') findings.error(`${path}.${field}`, 'cannot be set beside credentialName, which brings it along');
    return;
  }
  if (tls.mode !== 'MUTUAL') return;
  for (const field of ['clientCertificate', 'privateKey'] as const)
    if (tls[field] === '') findings.error(`${path}.${field}`, 'is required for mode MUTUAL (or set credentialName)');
}

function configMapReason(credential: string, namespace: string): string | undefined {
  const [of = '', name = '', more] = credential.slice('configmap://'.length).split('/');
  if (of === '' || name === '' || more !== undefined) return `"${credential}" must be of the form configmap://namespace/name`;
  return of === namespace ? undefined : `must name a ConfigMap of the own namespace${namespace === '' ? '' : ` "${namespace}"`}`;
}

function checkSkipVerify(tls: ClientTlsSettings, path: string, findings: Findings): void {
  const why = 'cannot be set while insecureSkipVerify is true';
  if (tls.caCertificates !== '') findings.error(`${path}.caCertificates`, why);
  if (tls.subjectAltNames.length > 0) findings.error(`${path}.subjectAltNames`, why);
  if (tls.mode === 'SIMPLE' && tls.credentialName !== '') findings.error(`${path}.credentialName`, why);
}
