import { X509Certificate } from 'node:crypto';
import type { WorkloadCertificate } from '@meltemi/identity';

/** Envoy's /certs: the certificates in use, without keys; `meltemi_last_failure` says why there is no newer one. */
export function certsPage(certificate: WorkloadCertificate | undefined, failure: string | undefined): unknown {
  const said = failure === undefined ? {} : { meltemi_last_failure: failure };
  if (!certificate) return { certificates: [], ...said };
  return { ...said, certificates: [{ ca_cert: pemBlocks(certificate.trust.pem).map(describe), cert_chain: pemBlocks(certificate.certChainPem).map(describe) }] };
}

function describe(pem: string): unknown {
  const certificate = new X509Certificate(pem);
  const days = Math.floor((certificate.validToDate.getTime() - Date.now()) / 86_400_000);
  return {
    path: '<inline>',
    serial_number: certificate.serialNumber.toLowerCase(),
    subject_alt_names: (certificate.subjectAltName ?? '').split(', ').filter((name) => name !== '').map((name) => (name.startsWith('URI:') ? { uri: name.slice(4) } : { dns: name.replace(/^DNS:/, '') })),
    days_until_expiration: String(Math.max(0, days)),
    valid_from: certificate.validFromDate.toISOString(),
    expiration_time: certificate.validToDate.toISOString(),
  };
}

function pemBlocks(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
}
