import { destinationRule } from '../../../kinds/destination-rule/kind.ts';
import type { ClientTlsSettings } from '../../../kinds/destination-rule/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import { messages } from '../../messages/messages.ts';
import { fullName } from '../../object.ts';

/** TLS that accepts any server certificate. */
export const caCertificates: Analyzer = {
  name: 'destinationrule.CaCertificateAnalyzer',
  description: 'DestinationRules with TLS mode SIMPLE or MUTUAL and no caCertificates',
  analyze(mesh, report) {
    for (const rule of mesh.of(destinationRule)) {
      const { trafficPolicy, host, workloadSelector } = rule.spec;
      const [name, namespace] = [fullName(rule), rule.key.namespace];
      // With a workload selector the certificate authority comes from the Secret.
      const accepts = (tls: ClientTlsSettings | undefined): tls is ClientTlsSettings =>
        tls !== undefined && (tls.mode === 'SIMPLE' || tls.mode === 'MUTUAL') && tls.caCertificates === '' && !(tls.credentialName !== '' && workloadSelector !== undefined);
      if (accepts(trafficPolicy?.tls)) report(rule, messages.noServerVerification(name, namespace, trafficPolicy.tls.mode, host), { path: 'spec.trafficPolicy.tls' });
      for (const [i, { tls, port }] of (trafficPolicy?.portLevelSettings ?? []).entries())
        if (accepts(tls)) report(rule, messages.noServerVerificationOnPort(name, namespace, tls.mode, host, String(port?.number ?? 0)), { path: `spec.trafficPolicy.portLevelSettings[${i}].tls` });
    }
  },
};
