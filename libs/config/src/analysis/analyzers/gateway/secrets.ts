import { X509Certificate } from 'node:crypto';
import { gateway } from '../../../kinds/gateway/kind.ts';
import type { Analyzer } from '../../analyzer.ts';
import { mapAt, text } from '../../json.ts';
import { selectorText } from '../../kubernetes/selector.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';
import { selectorPath } from './selector-path.ts';

/** Secrets of gateways that do not exist or hold no valid certificate. */
export const gatewaySecrets: Analyzer = {
  name: 'gateway.SecretAnalyzer',
  description: 'Gateways whose Secrets do not exist or hold no valid certificate',
  analyze(mesh, report) {
    for (const one of mesh.of(gateway)) {
      const { selector, servers } = one.spec;
      // Secrets are read beside the pods of the gateway, not beside the Gateway.
      const namespace = mesh.podsSelectedBy(selector)[0]?.namespace;
      if (namespace === undefined) {
        report(one, messages.notFound('selector', selectorText(selector)), { path: selectorPath(selector) });
        continue;
      }
      for (const [i, { tls }] of servers.entries()) {
        if (!tls || tls.credentialName === '') continue;
        const path = `spec.servers[${i}].tls.credentialName`;
        const [name = '', inNamespace] = tls.credentialName.split('/').reverse();
        const secret = mesh.find('', 'Secret', { namespace: inNamespace ?? namespace, name });
        if (!secret) report(one, messages.notFound('credentialName', tls.credentialName), { path });
        else if (!holdsCertificate(secret, mesh.now)) report(one, messages.invalidGatewayCredential(one.key.name, namespace), { path });
      }
    }
  },
};

/** The two pairs of keys a certificate may be kept under. */
const pairs = [['cert', 'key'], ['tls.crt', 'tls.key']] as const;

function holdsCertificate({ content }: AnalyzedObject, now: Date): boolean {
  const value = (key: string): string => text(mapAt(content, 'stringData')[key]) || Buffer.from(text(mapAt(content, 'data')[key]), 'base64').toString('latin1');
  const pair = pairs.find(([certificate, key]) => value(certificate) !== '' && value(key) !== '');
  return pair !== undefined && isValidNow(value(pair[0]), now);
}

function isValidNow(pem: string, now: Date): boolean {
  try {
    const { validFrom, validTo } = new X509Certificate(pem);
    return new Date(validFrom) <= now && now <= new Date(validTo);
  } catch {
    return false;
  }
}
