import type { Analyzer } from '../../analyzer.ts';
import { templateFacts } from '../../kubernetes/pod.ts';
import { messages } from '../../messages/messages.ts';
import { fullName } from '../../object.ts';

const maxNames = 5;

/** istiod fetches the keys that RequestAuthentications name: it should not be led into internal networks. */
export const blockedCidrs: Analyzer = {
  name: 'authn.BlockedCIDRsAnalyzer',
  description: 'istiod without BLOCKED_CIDRS_IN_JWKS_URIS while RequestAuthentications exist',
  analyze(mesh, report) {
    const policies = mesh.ofKind('security.istio.io', 'RequestAuthentication').map(fullName);
    if (policies.length === 0) return;
    const shown = policies.slice(0, maxNames).join(', ');
    const names = policies.length > maxNames ? `${shown}, and ${policies.length - maxNames} more` : shown;
    for (const deployment of mesh.ofKind('apps', 'Deployment')) {
      if (deployment.meta.labels['app'] !== 'istiod') continue;
      const isSet = templateFacts(deployment).containers.some(({ env }) => env.some((one) => one.name === 'BLOCKED_CIDRS_IN_JWKS_URIS' && one.value !== ''));
      if (!isSet) report(deployment, messages.unrestrictedJwksUri(policies.length, names));
    }
  },
};
