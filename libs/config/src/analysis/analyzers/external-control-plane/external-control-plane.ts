import { isIP } from 'node:net';
import type { Analyzer, Report } from '../../analyzer.ts';
import { mapAt, maps, text } from '../../json.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';

/** Webhooks of an external control plane: their address must be a valid URL, and better not an IP address. */
export const externalControlPlane: Analyzer = {
  name: 'externalcontrolplane.ExternalControlPlaneAnalyzer',
  description: 'Webhooks that do not say where the external control plane is',
  analyze(mesh, report) {
    checkWebhooks(mesh, { kind: 'ValidatingWebhookConfiguration', isOurs: (name) => name === 'istiod-default-validator' || name.startsWith('istio-validator') }, report);
    checkWebhooks(mesh, { kind: 'MutatingWebhookConfiguration', isOurs: (name) => name.startsWith('istio-sidecar-injector') }, report);
  },
};

function checkWebhooks(mesh: Mesh, { kind, isOurs }: { readonly kind: string; readonly isOurs: (name: string) => boolean }, report: Report): void {
  for (const object of mesh.ofKind('admissionregistration.k8s.io', kind)) {
    if (!isOurs(object.key.name)) continue;
    for (const [i, webhook] of maps(object.content['webhooks']).entries()) {
      const path = `webhooks[${i}].clientConfig`;
      const name = text(webhook['name']);
      const { url, service } = mapAt(webhook, 'clientConfig');
      if (typeof url !== 'string') {
        if (service === undefined || service === null) report(object, messages.invalidExternalControlPlane('', name, 'is missing'), { path });
        continue;
      }
      const host = hostOf(url);
      if (host === undefined) report(object, messages.invalidExternalControlPlane(url, name, 'is not a URL'), { path: `${path}.url` });
      else if (isIP(host) > 0) report(object, messages.externalControlPlaneIp(url, name), { path: `${path}.url` });
    }
  }
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : undefined;
}
