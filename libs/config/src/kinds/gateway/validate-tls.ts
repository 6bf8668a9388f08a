import type { Findings } from '../../rules/findings.ts';
import { item } from '../../schema/schema.ts';
import { isCipherSuite } from './cipher-suites.ts';
import type { ServerTlsSettings } from './types.ts';

/** Also for a Sidecar's ingress listener. */
export function checkServerTls(tls: ServerTlsSettings | undefined, path: string, findings: Findings): void {
  if (!tls) return;
  checkVersionsAndCiphers(tls, path, findings);
  if (tls.mode === 'ISTIO_MUTUAL') {
    for (const field of ['serverCertificate', 'privateKey', 'caCertificates', 'credentialName', 'credentialNames', 'tlsCertificates'] as const)
      if (tls[field].length > 0) findings.error(`${path}.${field}`, 'cannot be set for mode ISTIO_MUTUAL, which uses the workload certificate');
    return;
  }
  const fromSecret = tls.credentialName !== '' || tls.credentialNames.length > 0;
  checkSources(tls, path, findings);
  if (tls.mode === 'PASSTHROUGH' || tls.mode === 'AUTO_PASSTHROUGH') {
    const ignored = (['caCrl', 'serverCertificate', 'privateKey', 'caCertificates'] as const).some((field) => tls[field] !== '');
    if (ignored || fromSecret || tls.tlsCertificates.length > 0) findings.warn(path, `mode ${tls.mode} uses no certificates, so those given are ignored`);
    return;
  }
  if (!fromSecret) checkFiles(tls, path, findings);
}

function checkSources(tls: ServerTlsSettings, path: string, findings: Findings): void {
  const files = tls.serverCertificate !== '' && tls.privateKey !== '';
  const sources = [files, tls.credentialName !== '', tls.credentialNames.length > 0, tls.tlsCertificates.length > 0].filter(Boolean).length;
  if (sources > 1) findings.error(path, 'only one of credentialName, credentialNames, serverCertificate with privateKey, and tlsCertificates may be set');
}

function checkFiles(tls: ServerTlsSettings, path: string, findings: Findings): void {
  const mutual = tls.mode === 'MUTUAL' || tls.mode === 'OPTIONAL_MUTUAL';
  if (mutual && tls.caCertificates === '') findings.error(`${path}.caCertificates`, `is required for mode ${tls.mode} (or set credentialName)`);
  const listed = tls.tlsCertificates.length > 0;
  const certificates = listed ? tls.tlsCertificates : [tls];
  for (const [i, certificate] of certificates.entries()) {
    const at = listed ? item(`${path}.tlsCertificates`, i) : path;
    for (const field of ['serverCertificate', 'privateKey'] as const)
      if (certificate[field] === '') findings.error(`${at}.${field}`, `is required for mode ${tls.mode} (or set credentialName)`);
  }
  if (tls.caCrl !== '' && !mutual) findings.error(`${path}.caCrl`, `cannot be set for mode ${tls.mode}, which checks no client certificate`);
}

function checkVersionsAndCiphers(tls: ServerTlsSettings, path: string, findings: Findings): void {
  if ((tls.minProtocolVersion === 'TLSV1_0' || tls.minProtocolVersion === 'TLSV1_1') && tls.cipherSuites.length === 0)
    findings.warn(`${path}.minProtocolVersion`, 'versions below TLSV1_2 need cipherSuites of their time, the default ones do not fit');
  const seen = new Set<string>();
  for (const [i, suite] of tls.cipherSuites.entries()) {
    if (!isCipherSuite(suite)) findings.warn(item(`${path}.cipherSuites`, i), `"${suite}" is not a cipher suite and is ignored`);
    else if (seen.has(suite)) findings.warn(item(`${path}.cipherSuites`, i), `"${suite}" is listed already`);
    seen.add(suite);
  }
}
