import type { Findings } from '../../rules/findings.ts';
import type { ClientTlsSettings } from './types.ts';

/** Also for TLS settings inside MeshConfig. */
export function checkClientTls(tls: ClientTlsSettings | undefined, path: string, findings: Findings): void {
  if (!tls) return;
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

function checkSkipVerify(tls: ClientTlsSettings, path: string, findings: Findings): void {
  const why = 'cannot be set while insecureSkipVerify is true';
  if (tls.caCertificates !== '') findings.error(`${path}.caCertificates`, why);
  if (tls.subjectAltNames.length > 0) findings.error(`${path}.subjectAltNames`, why);
  if (tls.mode === 'SIMPLE' && tls.credentialName !== '') findings.error(`${path}.credentialName`, why);
}
