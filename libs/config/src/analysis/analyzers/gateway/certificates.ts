import { gateway } from '../../../kinds/gateway/kind.ts';
import type { ServerTlsSettings } from '../../../kinds/gateway/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import { selects } from '../../kubernetes/selector.ts';
import { messages } from '../../messages/messages.ts';
import { fullName } from '../../object.ts';

/** Gateways of the same pods with the same certificate. */
export const gatewayCertificates: Analyzer = {
  name: 'gateway.CertificateAnalyzer',
  description: 'Gateways of the same pods that serve the same certificate',
  analyze(mesh, report) {
    const gateways = mesh.of(gateway);
    for (const one of gateways)
      for (const other of gateways) {
        if (one === other || (mesh.scopeGatewayToNamespace && one.key.namespace !== other.key.namespace)) continue;
        if (!selects(one.spec.selector, other.spec.selector)) continue;
        if (one.spec.servers.some(({ tls }) => tls && other.spec.servers.some((server) => server.tls && isSame(tls, server.tls)))) report(one, messages.duplicateCertificate([fullName(one), fullName(other)]), { path: 'metadata.name' });
      }
  },
};

function isSame(a: ServerTlsSettings, b: ServerTlsSettings): boolean {
  if (a.credentialName !== '' || b.credentialName !== '') return a.credentialName === b.credentialName;
  return a.serverCertificate !== '' && a.serverCertificate === b.serverCertificate && a.privateKey !== '' && a.privateKey === b.privateKey;
}
