import { gateway } from '../../../kinds/gateway/kind.ts';
import { virtualService } from '../../../kinds/virtual-service/kind.ts';
import type { VirtualServiceSpec } from '../../../kinds/virtual-service/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import { mapAt, textMap } from '../../json.ts';
import { selects } from '../../../labels/selects.ts';
import { messages } from '../../messages/messages.ts';
import { gatewayName } from './gateways.ts';

const rootNamespace = 'istio-system';

/** Routing by claims of a token that nothing validates. */
export const jwtClaimRoutes: Analyzer = {
  name: 'virtualservice.JWTClaimRouteAnalyzer',
  description: 'VirtualServices that route by JWT claims at gateways without RequestAuthentication',
  analyze(mesh, report) {
    const authentications = mesh.ofKind('security.istio.io', 'RequestAuthentication').map(({ key, content }) => ({ namespace: key.namespace, selector: textMap(mapAt(content, 'spec', 'selector')['matchLabels']) }));
    for (const service of mesh.of(virtualService)) {
      const claim = claimIn(service.spec);
      if (claim === undefined) continue;
      for (const [i, written] of service.spec.gateways.entries()) {
        const name = gatewayName(service.key.namespace, written);
        const found = mesh.findOf(gateway, name);
        if (written === 'mesh' || !found) continue;
        for (const pod of mesh.podsSelectedBy(found.spec.selector)) {
          const isValidated = authentications.some((one) => [rootNamespace, pod.namespace].includes(one.namespace) && selects(one.selector, pod.labels));
          if (!isValidated) report(service, messages.jwtRoutingWithoutAuthentication(claim, `${name.namespace}/${name.name}`, pod.name), { path: `spec.gateways[${i}]` });
        }
      }
    }
  },
};

/** "@request.auth.claims.group" or "@request.auth.claims[group]". */
const claimHeader = /^@request\.auth\.claims(\..+|\[.+\])$/i;

function claimIn(spec: VirtualServiceSpec): string | undefined {
  for (const { match } of spec.http) for (const { headers, withoutHeaders } of match) for (const name of [...Object.keys(headers), ...Object.keys(withoutHeaders)]) if (claimHeader.test(name)) return name;
  return undefined;
}
