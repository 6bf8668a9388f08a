import { gateway } from '../../../kinds/gateway/kind.ts';
import type { GatewaySpec } from '../../../kinds/gateway/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import { selects } from '../../../labels/selects.ts';
import { messages } from '../../messages/messages.ts';
import { fullName, type AnalyzedObject } from '../../object.ts';

/** Gateways of the same pods with the same certificate. */
export const gatewayCertificates: Analyzer = {
  name: 'gateway.CertificateAnalyzer',
  description: 'Gateways of the same pods that serve the same certificate',
  analyze(mesh, report) {
    const gateways = mesh.of(gateway);
    const byCertificate = new Map<string, Set<AnalyzedObject<GatewaySpec>>>();
    for (const one of gateways) for (const certificate of certificatesOf(one)) byCertificate.set(certificate, (byCertificate.get(certificate) ?? new Set()).add(one));
    for (const one of gateways) {
      const others = new Set(certificatesOf(one).flatMap((certificate) => [...(byCertificate.get(certificate) ?? [])]));
      for (const other of others) {
        if (one === other || (mesh.scopeGatewayToNamespace && one.key.namespace !== other.key.namespace)) continue;
        if (selects(one.spec.selector, other.spec.selector)) report(one, messages.duplicateCertificate([fullName(one), fullName(other)]), { path: 'metadata.name' });
      }
    }
  },
};

/** Gateways with one of these in common serve the same certificate. */
function certificatesOf({ spec }: AnalyzedObject<GatewaySpec>): readonly string[] {
  return spec.servers.flatMap(({ tls }) => {
    if (!tls) return [];
    const { credentialName, serverCertificate, privateKey } = tls;
    if (credentialName !== '') return [`Secret ${credentialName}`];
    return serverCertificate === '' || privateKey === '' ? [] : [`files ${serverCertificate}\n${privateKey}`];
  });
}
